"""Wrong specs in long chains: those of tests/integration/test_misoperation.py in an order that the seed chooses."""

import asyncio
import random

from devcluster import clusters
from tests.support import cluster_apiserver, crd_campaign, crd_chains, crd_mutations
from tests.torture import campaign

NAME = "misoperation"


def run(order: campaign.Order) -> list[campaign.Row]:
    """Play every mutation once, or those whose sentence contains the order's case; one row for each thing wrong."""
    chosen = [each for each in crd_mutations.mutations() if order.case in each.sentence]
    random.Random(order.seed).shuffle(chosen)
    chosen = chosen[:100] if order.short else chosen
    control_plane = clusters.up("torture-misuse", control_plane_only=True, bound=True)
    try:
        account = asyncio.run(_play(control_plane, chosen))
    finally:
        control_plane.down()
    rows = [
        campaign.Row(wrong[:80], passed=False, detail=wrong, replay=campaign.replay(NAME, order, ""))
        for wrong in account.wrong
    ]
    return [*rows, campaign.Row(f"{len(chosen)} specs", passed=not rows, detail=str(dict(account.outcomes)))]


async def _play(
    control_plane: clusters.Devcluster, chosen: list[crd_mutations.Mutation]
) -> crd_chains.Account:
    async with cluster_apiserver.connect(control_plane.kubeconfig) as (backend, _cluster):
        await backend.install_crd()
    return await crd_campaign.run(control_plane.kubeconfig, chosen, "misuse")
