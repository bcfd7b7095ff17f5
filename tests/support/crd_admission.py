"""Asks a real API server about many specs at once: does it let each in, and does a refusal name the field?

Every question is a dry run, so that nothing is kept. `crd_chains` goes on with what is let in.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from modelyard_operator import naming
from tests.support import cluster_apiserver
from tests.support.crd_mutations import Mutation

AT_ONCE = 16


class Verdict(msgspec.Struct, frozen=True):
    """What the API server said to one spec."""

    status: int
    message: str

    @property
    def is_refusal(self) -> bool:
        """Say whether the spec was refused as what it is; anything else than 201 and this is a defect."""
        return self.status in (400, 413, 422)


def resource(namespace: str, spec: Any, name: str = "iris") -> dict[str, Any]:
    """Give a ModelDeployment with a spec."""
    return {
        "apiVersion": naming.API_VERSION,
        "kind": naming.KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


async def ask(backend: cluster_apiserver.ApiBackend, spec: Any, namespace: str = "default") -> Verdict:
    """Give what the API server says to a spec, without keeping it."""
    path = (
        f"/apis/{naming.API_VERSION}/namespaces/{namespace}/{naming.PLURAL}?dryRun=All&fieldValidation=Strict"
    )
    status, answer = await backend.request("POST", path, resource(namespace, spec))
    return Verdict(status, str(answer.get("message", "")))


async def ask_all(
    backend: cluster_apiserver.ApiBackend, mutations: Sequence[Mutation]
) -> list[tuple[Mutation, Verdict]]:
    """Give each spec with what the API server says to it."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(mutation: Mutation) -> Verdict:
        async with turn:
            return await ask(backend, mutation.spec)

    verdicts = await asyncio.gather(*(one(mutation) for mutation in mutations))
    return list(zip(mutations, verdicts, strict=True))


def names_the_field(message: str, field: str) -> bool:
    """Say whether a refusal tells where: the field itself, or what holds it and then its name in other words.

    A rule about several fields is reported at what holds them: "spec.resources: requests must not be greater".
    """
    steps = re.findall(r"[^.\[\]]+|\[\d+\]", field)
    for length in range(len(steps), 1, -1):
        holder = ".".join(steps[:length]).replace(".[", "[")
        if holder in message:
            return True
    return field in message or (len(steps) == 2 and steps[1] in message)
