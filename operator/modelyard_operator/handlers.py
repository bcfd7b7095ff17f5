"""The event source of the resource itself: kopf watches ModelDeployments, and every event goes into memory and queue.

The only importer of kopf, which is used for what it is good at: list-and-watch with reconnects, and nothing else
(docs/adr/0003). With `on.event` handlers alone it writes nothing: no annotation, no finalizer, no status. The children
are watched by `watching`. Called by `__main__`.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import kopf
import msgspec

from modelyard_operator import config, connection, freshness, naming, store

_LAST_BACKOFF_SECONDS = 10.0


class _EndlessBackoffs:
    """Delays between attempts of kopf's requests that never run out: an API server's bad hour is ridden through."""

    def __iter__(self) -> Iterator[float]:
        """Give 1, 2, 4, 8 and then 10 seconds for ever."""
        seconds = 1.0
        while True:
            yield min(seconds, _LAST_BACKOFF_SECONDS)
            seconds = min(seconds * 2, _LAST_BACKOFF_SECONDS)


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing of what was handled before: no handler here wants to know, and finding it out costs a lot."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Give nothing, instead of a copy of the object without what kopf thinks unimportant."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Give nothing."""
        return None

    def store(self, **_: Any) -> None:
        """Store nothing."""


class Sink(msgspec.Struct, frozen=True):
    """Where the events go."""

    seen: freshness.Seen
    memory: store.Store
    enqueue: Callable[[tuple[str, str]], None]

    def take(self, event: kopf.RawEvent) -> None:
        """Remember what an event brings, and enqueue the resource when anything about it is new.

        The events of our own writes of the status aren't: their answers have been remembered already.
        """
        metadata = event["object"]["metadata"]
        raw = msgspec.json.encode(event["object"])
        if event["type"] == "DELETED":
            self.seen.forget(metadata["uid"])
            keys = self.memory.forget(naming.PLURAL, raw)
        else:
            self.seen.note(metadata["uid"], metadata["resourceVersion"])
            keys = self.memory.put(naming.PLURAL, raw)
        for key in keys:
            self.enqueue(key)


async def run(
    link: connection.Connection,
    settings: config.OperatorConfig,
    sink: Sink,
    flags: tuple[asyncio.Event, asyncio.Event],
) -> None:
    """Watch until `flags[1]` (stop) is set; `flags[0]` (ready) is set when the watches start.

    Raises whatever ends a watch for good, so that the process ends with it.
    """
    await kopf.operator(
        registry=_registry(link, sink),
        settings=_settings(),
        # Only peering would use it. Without one kopf asks for the user's name, and the user id of a pod has none.
        identity=naming.APP,  # type: ignore[arg-type]  # a NewType of str that kopf keeps to itself
        standalone=True,
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
        ready_flag=flags[0],
        stop_flag=flags[1],
    )


def _registry(link: connection.Connection, sink: Sink) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        """Give kopf a session with the connection's own credentials."""
        return kopf.AiohttpSession(server=link.server, aiohttp_session=link.paced_session())

    @kopf.on.event(naming.GROUP, naming.VERSION, naming.PLURAL, registry=registry)
    async def on_model_deployment(event: kopf.RawEvent, **_: Any) -> None:
        sink.take(event)

    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # needs no rights on CRDs and namespaces
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.queueing.idle_timeout = 0.5  # each resource has a task that lingers so long after an event
    settings.networking.error_backoffs = _EndlessBackoffs()
    settings.networking.connect_timeout = 5.0
    settings.networking.request_timeout = 30.0
    settings.watching.connect_timeout = 5.0
    # A stream that falls silent is given up within 40 s. An honest one ends itself before: the API server's bookmarks
    # come only once a minute.
    settings.watching.server_timeout = 30
    settings.watching.inactivity_timeout = 40.0
    settings.watching.reconnect_backoff = 0.5  # 410 after 410: list and watch again, but not at full speed
    settings.process.ultimate_exiting_timeout = None  # ends with the pod's grace period
    return settings
