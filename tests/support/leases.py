"""A Lease in memory with an API server's rule, that whoever names an old version is refused; slow or failing on demand.

Kept honest by tests/integration/test_leadership.py, where the same stories run on a real API server.
"""

import asyncio
import copy
import random

from modelyard_operator import errors
from modelyard_operator.objects import Manifest


class Leases:
    """Implements `leadership.Leases`."""

    def __init__(self) -> None:
        self.stored: Manifest | None = None
        self.writes: list[str] = []  # the holder that each write named
        self._version = 0

    async def get_lease(self, namespace: str, name: str) -> Manifest | None:
        return copy.deepcopy(self.stored)

    async def write_lease(self, manifest: Manifest) -> Manifest:
        named = manifest["metadata"].get("resourceVersion")
        present = self.stored["metadata"]["resourceVersion"] if self.stored else None
        if named != present:
            raise errors.ClusterError("write Lease", 404 if present is None else 409, "another version")
        self.put(manifest)
        self.writes.append(manifest["spec"]["holderIdentity"])
        assert self.stored is not None
        return copy.deepcopy(self.stored)

    def put(self, manifest: Manifest | None) -> None:
        """Store whatever it is, as an administrator would."""
        self._version += 1
        self.stored = copy.deepcopy(manifest)
        if self.stored is not None:
            self.stored["metadata"]["resourceVersion"] = str(self._version)


class Faulty:
    """The way of one process to the Leases: late, lost on the way there, or lost on the way back."""

    def __init__(self, leases: Leases, chance: random.Random) -> None:
        self._leases = leases
        self._chance = chance
        self.is_cut = False

    async def get_lease(self, namespace: str, name: str) -> Manifest | None:
        await self._travel()
        found = await self._leases.get_lease(namespace, name)
        await self._travel()
        return found

    async def write_lease(self, manifest: Manifest) -> Manifest:
        await self._travel()
        stored = await self._leases.write_lease(manifest)
        await self._travel()
        return stored

    async def _travel(self) -> None:
        slow = self._chance.random() < 0.1
        await asyncio.sleep(self._chance.uniform(0, 3.0 if slow else 0.2))
        if self.is_cut or self._chance.random() < 0.05:
            raise errors.ClusterError("Lease", 0, "connection lost")
