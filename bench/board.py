"""What there is in the measured namespace, kept by watches: nothing here is found out by asking again and again.

`Board` is filled by one watch for each kind and wakes whoever waits for a state of it. Used by `measures`.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from bench import rig
from modelyard_operator import naming
from tests.support import cluster_apiserver

CHILDREN = ("controllerrevisions", "deployments", "services")
_LINE_LIMIT = 2**22
_AGAIN_SECONDS = 0.5


class _Metadata(msgspec.Struct):
    name: str
    generation: int = 0


class _Condition(msgspec.Struct, rename="camel"):
    type: str
    status: str
    observed_generation: int = 0


class _Status(msgspec.Struct):
    conditions: list[_Condition] = []


class _Object(msgspec.Struct):
    metadata: _Metadata
    status: _Status = msgspec.field(default_factory=_Status)


class _Event(msgspec.Struct):
    type: str
    object: _Object


class Board:
    """Names and generations of everything, and which ModelDeployments are Ready at their own generation."""

    def __init__(self) -> None:
        self.generations: dict[str, dict[str, int]] = {naming.PLURAL: {}, **{kind: {} for kind in CHILDREN}}
        self.ready: set[str] = set()
        self._changed = asyncio.Event()

    def children(self) -> int:
        """Give how many children there are."""
        return sum(len(self.generations[kind]) for kind in CHILDREN)

    async def until(self, is_reached: Callable[[], bool], what: str, timeout_seconds: float) -> float:
        """Wait for a state and give when it was reached, on the monotonic clock.

        Raises:
            TimeoutError: it was not reached; tells `what`, and what there is.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while not is_reached():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            counts = {kind: len(found) for kind, found in self.generations.items()}
            raise TimeoutError(
                f"{what}: not within {timeout_seconds:.0f} s; there are {counts}, {len(self.ready)} Ready"
            ) from None
        return time.monotonic()

    def take(self, plural: str, event: _Event) -> None:
        """Note what an event says."""
        metadata, found = event.object.metadata, self.generations[plural]
        if event.type == "DELETED":
            found.pop(metadata.name, None)
            self.ready.discard(metadata.name)
        else:
            found[metadata.name] = metadata.generation
            if plural == naming.PLURAL:
                self._note_ready(event.object)
        self._changed.set()

    def _note_ready(self, resource: _Object) -> None:
        name, generation = resource.metadata.name, resource.metadata.generation
        is_ready = any(
            each.type == "Ready" and each.status == "True" and each.observed_generation == generation
            for each in resource.status.conditions
        )
        (self.ready.add if is_ready else self.ready.discard)(name)


@asynccontextmanager
async def watched(cluster: rig.Rig, namespace: str) -> AsyncIterator[Board]:
    """Keep a board of a namespace for as long as the block lasts."""
    board = Board()
    watches = [asyncio.create_task(_watch(cluster, board, plural, namespace)) for plural in board.generations]
    try:
        yield board
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


async def _watch(cluster: rig.Rig, board: Board, plural: str, namespace: str) -> None:
    """Watch one kind for ever; without a resourceVersion each watch begins with all there is."""
    url = f"{cluster.link.server}{cluster_apiserver.GROUPS[plural]}/namespaces/{namespace}/{plural}"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    decoder = msgspec.json.Decoder(_Event)
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            async with cluster.link.session.get(
                url, params={"watch": "true"}, timeout=timeout, read_bufsize=_LINE_LIMIT
            ) as answer:
                async for line in answer.content:
                    board.take(plural, decoder.decode(line))
        await asyncio.sleep(_AGAIN_SECONDS)
