"""Watches the children: one list-and-watch stream for each kind, which feeds the store and names what has changed.

`__main__` runs it. A stream never ends and never goes deaf: whatever the API server or the network does to it, it
waits a little and goes on from the last version it has seen, or lists everything again when that version is no longer
known, and once in a while in any case: whatever memory has missed, for whatever reason, comes with that list. A list
replaces: what it lacks has gone in the meantime, and is told like a deletion. A stream on which nothing
comes, not even the bookmark that the API server sends before it ends a watch, is given up and opened anew.

kopf watches the ModelDeployments (`handlers`). The children are many, large and change often, and kopf does
more with each event than remember it (docs/adr/0006). This knows nothing of what is in an object, and decides nothing.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping

import aiohttp
import msgspec

from modelyard_operator import connection, decoding, errors, naming, store
from modelyard_operator.objects import Kind

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # namespace, name

_PAGE = 500  # objects; a list of thousands is never in memory as a whole
_LONGEST_LINE = 16 * 2**20  # an object has at most 1.5 MB in etcd
_FIRST_BACKOFF_SECONDS = 0.5
_LAST_BACKOFF_SECONDS = 10.0
_LONGEST_ASKED_SECONDS = 60.0  # of what Retry-After may ask for
_MOST_DOUBLINGS = 5
_BROKEN_BEFORE_LIST = 3  # broken watches in a row before everything is listed again


class Timing(msgspec.Struct, frozen=True):
    """How long a stream may take.

    Attributes:
        watch_seconds: after which the API server ends a watch; two seconds before that it sends a bookmark.
        silence_seconds: after which a stream on which nothing has come is given up.
        list_seconds: for one page of a list.
        relist_seconds: after which everything is listed although nothing seems to be missing; a quarter more or less.
    """

    watch_seconds: int = 40
    silence_seconds: float = 45.0
    list_seconds: float = 60.0
    relist_seconds: float = 3600.0


class _Expired(Exception):  # noqa: N818 - named for what it means
    """The version to go on from is no longer known."""


class _Broken(Exception):  # noqa: N818 - named for what it means
    """The stream has said something that makes no sense, or an error of its own."""


class Stream:
    """One kind, in one namespace or in all with ""."""

    def __init__(
        self,
        link: connection.Connection,
        kind: tuple[str, str],
        namespace: str,
        memory: store.Store,
        changed: Callable[[Key], None],
    ) -> None:
        self._link = link
        api_version, self._plural = kind
        self._namespace = namespace
        root = "/api" if "/" not in api_version else "/apis"
        where = f"/namespaces/{namespace}" if namespace else ""
        self._url = f"{link.server}{root}/{api_version}{where}/{self._plural}"
        self._memory = memory
        self._changed = changed
        self._version = 0  # the last that was seen; 0 when everything has to be listed
        self._newest = 0  # the last that was ever seen: a list must not be older
        self._failures = 0
        self._relist_at = 0.0
        self._heard = _now()
        self.synced = asyncio.Event()

    @property
    def name(self) -> str:
        """The stream's name for people."""
        return f"{self._plural} in {self._namespace}" if self._namespace else self._plural

    def silent_seconds(self) -> float:
        """Give for how long nothing has been heard from the API server."""
        return _now() - self._heard

    async def run(self, timing: Timing, beat: Callable[[str], None]) -> None:
        """List and watch for ever; `beat` is told at each new attempt."""
        while True:
            beat(f"watch {self.name}")
            before, began = self._version, _now()
            try:
                if not self._version or began >= self._relist_at:
                    await self._list(timing)
                    self.synced.set()
                await self._watch(timing)
            except _Expired:
                self._version = 0
                await self._pause("the version is too old, listing again")
            except _Broken as error:
                if self._failures >= _BROKEN_BEFORE_LIST:
                    self._version = 0
                await self._pause(str(error))
            except errors.ClusterError as error:
                await self._pause(str(error), error.retry_after_seconds)
            except (aiohttp.ClientError, TimeoutError) as error:
                await self._pause(str(error) or type(error).__name__)
            else:
                lasted = _now() - began
                if lasted < timing.watch_seconds / 2:
                    await self._pause("ended early", progressed=self._version > before)

    async def _pause(self, why: str, asked_seconds: float | None = None, *, progressed: bool = False) -> None:
        self._failures = 0 if progressed else self._failures + 1
        doublings = min(max(self._failures - 1, 0), _MOST_DOUBLINGS)
        seconds = min(_LAST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2**doublings)
        seconds *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing
        if asked_seconds is not None:
            seconds = max(seconds, min(asked_seconds, _LONGEST_ASKED_SECONDS))
        level = logging.INFO if self._failures < _BROKEN_BEFORE_LIST else logging.WARNING
        keys = {"stream": self.name, "error": why, "retry_seconds": round(seconds, 1)}
        logger.log(level, "watch interrupted", extra=keys)
        await asyncio.sleep(seconds)

    async def _list(self, timing: Timing) -> None:
        """Read everything that is there, page by page, and drop what isn't any more."""
        listed: set[Key] = set()
        query = {"labelSelector": naming.CHILD_SELECTOR, "limit": str(_PAGE)}
        version = 0
        while True:
            page = await self._page(query, timing)
            version = version or _number(page.metadata.resource_version)
            if version < self._newest:
                raise _Broken(f"the list is of version {version}, older than {self._newest}")
            for item in page.items or ():
                meta = _checked(item)
                self._tell(self._memory.put(self._plural, item, meta))
                listed.add((meta.namespace, meta.name))
            self._heard = _now()
            if not page.metadata.continue_:
                break
            query["continue"] = page.metadata.continue_
            await asyncio.sleep(0)  # others have waited for 500 objects
        self._tell(self._memory.keep_only(self._plural, self._namespace, listed, version))
        self._version, self._newest = version, version
        spread = random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing
        self._relist_at = _now() + timing.relist_seconds * spread
        self._memory.advance(self._plural, self._namespace, version)

    async def _page(self, query: Mapping[str, str], timing: Timing) -> decoding.Page:
        timeout = aiohttp.ClientTimeout(total=timing.list_seconds, sock_connect=5)
        async with await self._open(query, timeout) as response:
            answer = await response.read()
        try:
            return decoding.page(answer)
        except ValueError as error:
            raise _Broken(f"no list: {error}") from error

    async def _watch(self, timing: Timing) -> None:
        """Follow what happens until the stream ends."""
        query = {
            "labelSelector": naming.CHILD_SELECTOR,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self._version),
            "timeoutSeconds": str(timing.watch_seconds),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=timing.silence_seconds)
        async with await self._open(query, timeout) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                self._heard = _now()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
                if len(rest) > _LONGEST_LINE:
                    raise _Broken("a line without an end")
        # Half a line at the end is dropped: the next watch goes on from the last whole one.

    def _take(self, line: bytes) -> None:
        """Take one line of a watch."""
        if not line.strip():
            return
        try:
            event = decoding.event(line)
            if event.type == "ERROR":
                said = decoding.status(event.object)
                raise _Expired if said.code == decoding.GONE else _Broken(f"{said.code}: {said.message}")
            if event.type == "BOOKMARK":
                self._advance(decoding.bookmark(event.object))
                return
            meta = decoding.meta(event.object)
        except ValueError as error:
            raise _Broken(f"no event: {error}") from error
        if meta.version <= self._version:
            return  # of the past: it has been here before
        take = self._memory.forget if event.type == "DELETED" else self._memory.put
        self._tell(take(self._plural, event.object, meta))
        self._advance(meta.version)

    def _advance(self, version: int) -> None:
        self._version = max(version, self._version)
        self._newest = max(version, self._newest)
        self._failures = 0
        self._memory.advance(self._plural, self._namespace, self._version)

    def _tell(self, keys: tuple[Key, ...]) -> None:
        for key in keys:
            self._changed(key)

    async def _open(self, query: Mapping[str, str], limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """Give an answer of 200, still to be read.

        Raises:
            _Expired: 410.
            errors.ClusterError: any other answer.
        """
        # Compressing a list costs the API server more than sending it.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if authorization := await self._link.authorization():
            headers["Authorization"] = authorization
        response = await self._link.streams.get(self._url, params=query, headers=headers, timeout=limits)
        if response.status == 200:
            return response
        response.close()
        if response.status == decoding.GONE:
            raise _Expired
        asked = response.headers.get("Retry-After", "")
        raise errors.ClusterError(
            f"watch {self.name}",
            response.status,
            response.reason or "",
            float(asked) if asked.isdecimal() else None,
        )


class Watching:
    """All streams of one process."""

    def __init__(
        self,
        link: connection.Connection,
        namespaces: tuple[str, ...],
        memory: store.Store,
        changed: Callable[[Key], None],
    ) -> None:
        kinds = [(kind.api_version, kind.plural) for kind in Kind]
        kinds += [("apps/v1", store.REPLICA_SETS), ("v1", store.PODS)]
        self._streams = [
            Stream(link, kind, namespace, memory, changed)
            for kind in kinds
            for namespace in namespaces or ("",)
        ]

    async def run(self, beat: Callable[[str], None], timing: Timing | None = None) -> None:
        """Watch for ever."""
        async with asyncio.TaskGroup() as group:
            for stream in self._streams:
                group.create_task(stream.run(timing or Timing(), beat), name=f"watch {stream.name}")

    async def until_synced(self) -> None:
        """Wait until every stream has listed what is there."""
        for stream in self._streams:
            await stream.synced.wait()

    def silences(self) -> dict[str, float]:
        """Give for how long nothing has come on each stream."""
        return {stream.name: stream.silent_seconds() for stream in self._streams}

    def silent(self, seconds: float) -> tuple[str, ...]:
        """Give the streams on which nothing has come for so long."""
        return tuple(name for name, silence in self.silences().items() if silence > seconds)


def _checked(item: msgspec.Raw) -> decoding.Meta:
    try:
        return decoding.meta(item)
    except ValueError as error:
        raise _Broken(f"no object in a list: {error}") from error


def _number(version: str) -> int:
    try:
        return int(version)
    except ValueError as error:
        raise _Broken(f"no version: {version!r}") from error


def _now() -> float:
    return asyncio.get_running_loop().time()
