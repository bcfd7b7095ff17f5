"""Plays all mutations in chains, many namespaces at a time. Used by the misoperation test and its long form."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.support import cluster_apiserver, crd_chains, crd_effects, crd_fields
from tests.support.crd_mutations import Mutation

CHAIN_LENGTH = 24
AT_ONCE = 12


async def run(kubeconfig: Path, mutations: Sequence[Mutation], prefix: str) -> crd_chains.Account:
    """Play every mutation once, in chains whose namespaces start with a prefix, and give what came of it."""
    async with cluster_apiserver.connect(kubeconfig) as (backend, cluster):
        account = crd_chains.Account()
        grounds = await _grounds(lambda name: crd_chains.Chain(backend, cluster, f"{prefix}-{name}"))
        count = max(1, len(mutations) // CHAIN_LENGTH)
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with turn:
                chain = crd_chains.Chain(backend, cluster, f"{prefix}-{number}")
                # Neighbours in the list are alike; a chain takes its steps from all over it.
                await crd_chains.play(chain, mutations[number::count], grounds, account)

        await asyncio.gather(*(one(number) for number in range(count)))
    return account


async def _grounds(make: crd_chains.Make) -> crd_effects.Grounds:
    """Give the pictures of the good specs, each created afresh."""
    grounds = crd_effects.Grounds()
    goods = {"full": crd_fields.full(), "scaled": crd_fields.full("autoscaling"), "small": crd_fields.small()}
    for name, spec in goods.items():
        chain = make(name)
        await chain.start(spec)
        grounds.keep(spec, await chain.picture())
    return grounds
