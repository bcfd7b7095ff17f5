"""More than a thousand wrong and odd specs, one after the other on living resources, against a real API server.

Each is refused with a message that names its field, or stalls with a reason and a message, or takes effect; and the
good spec at the end of every chain reaches Ready with the children that a fresh create has. tests/torture plays the
same specs in another order at every seed.
"""

import asyncio
from pathlib import Path

from tests.support import crd_campaign, crd_mutations

FEWEST = 1000


def test_every_wrong_spec_is_refused_or_stalled_or_works_and_leaves_nothing_behind(
    kubeconfig: Path,
) -> None:
    mutations = crd_mutations.mutations()
    assert len(mutations) >= FEWEST
    account = asyncio.run(crd_campaign.run(kubeconfig, mutations, "misuse"))
    print(f"{len(mutations)} distinct specs: {dict(account.outcomes)}")
    assert account.wrong == []
    assert sum(account.outcomes.values()) == len(mutations)
