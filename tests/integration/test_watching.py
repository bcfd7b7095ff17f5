"""`watching` on a real API server: what it expects of lists, pages, watches and bookmarks is so."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from modelyard_operator import connection, naming, store, watching
from tests.support import cluster_apiserver, cluster_world

KIND = ("v1", "services")
TIMING = watching.Timing(watch_seconds=4, silence_seconds=10)
_namespaces = itertools.count(1)


class Place:
    """A namespace with Services in it, and a memory of them."""

    def __init__(
        self, backend: cluster_apiserver.ApiBackend, link: connection.Connection, namespace: str
    ) -> None:
        self.backend = backend
        self.namespace = namespace
        self.memory = store.Store()
        self.told: list[str] = []
        self._link = link

    def stream(self) -> watching.Stream:
        return watching.Stream(
            self._link, KIND, self.namespace, self.memory, lambda key: self.told.append(key[1])
        )

    @contextlib.asynccontextmanager
    async def watched(self, stream: watching.Stream) -> AsyncIterator[None]:
        """Have a stream run for as long as the block lasts."""
        running = asyncio.create_task(stream.run(TIMING, lambda _: None))
        try:
            async with asyncio.timeout(30):
                await stream.synced.wait()
            yield
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def create(self, name: str, labels: dict[str, str] | None = None) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": naming.child_labels(name) if labels is None else labels,
            },
            "spec": {"ports": [{"port": 80}]},
        }
        await self.backend.create("services", body)

    async def is_remembered(self, *names: str) -> bool:
        """Whether memory holds exactly these, as they are on the API server."""
        there = {
            each["metadata"]["name"]: each for each in await self.backend.listed("services", self.namespace)
        }
        remembered = {name: self.memory.get("services", self.namespace, name) for name in there}
        known = {name for name, each in remembered.items() if each is not None}
        same = all(
            {"apiVersion": "v1", "kind": "Service", **there[name]} == remembered[name] for name in known
        )
        return known == set(names) and same and self.memory.counts().get("services", (0, 0))[0] == len(names)

    async def until_remembered(self, *names: str) -> None:
        await cluster_world.wait_until(lambda: self.is_remembered(*names), f"memory holds {names}", 30)


def play(kubeconfig: Path, story: Callable[[Place], Awaitable[None]]) -> None:
    async def run() -> None:
        async with cluster_apiserver.connect(kubeconfig) as (backend, _cluster):
            namespace = f"watching-{next(_namespaces)}"
            await backend.make_namespace(namespace)
            await story(Place(backend, backend._link, namespace))

    asyncio.run(run())


def test_what_is_made_changed_and_deleted_is_followed(kubeconfig: Path) -> None:
    async def story(place: Place) -> None:
        await place.create("there")
        async with place.watched(place.stream()):
            await place.create("new")
            await place.create("not-ours", labels={})
            await place.until_remembered("there", "new")
            await place.backend.patch(
                "services", place.namespace, "new", {"metadata": {"labels": {"more": "x"}}}
            )
            await place.until_remembered("there", "new")
            await place.backend.remove("services", place.namespace, "there")
            await place.until_remembered("new")
            lost = {"metadata": {"labels": {naming.LABEL_MANAGED_BY: None}}}
            await place.backend.patch("services", place.namespace, "new", lost)
            await place.until_remembered()
            assert set(place.told) == {"there", "new"}

    play(kubeconfig, story)


def test_pages_and_what_has_gone_while_nobody_watched(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_PAGE", 2)

    async def story(place: Place) -> None:
        names = [f"service-{number}" for number in range(5)]
        for name in names:
            await place.create(name)
        async with place.watched(place.stream()):
            assert await place.is_remembered(*names)
        await place.backend.remove("services", place.namespace, "service-3")
        place.told.clear()
        async with place.watched(place.stream()):
            assert place.told == ["service-3"]
            assert await place.is_remembered(*(name for name in names if name != "service-3"))

    play(kubeconfig, story)


def test_a_watch_that_ends_is_resumed_behind_its_bookmark(kubeconfig: Path) -> None:
    async def story(place: Place) -> None:
        stream = place.stream()
        async with place.watched(stream):
            before = stream._version
            await place.create("not-ours", labels={})

            async def is_further() -> bool:
                return stream._version > before

            await cluster_world.wait_until(is_further, "a bookmark", 30)
            assert place.told == []
            await place.create("ours")
            await place.until_remembered("ours")

    play(kubeconfig, story)
