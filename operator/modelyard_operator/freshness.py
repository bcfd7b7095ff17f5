"""Never blind and alive: ends the process when the watch no longer delivers what the API server has.

The second, independent guard besides kopf's own. Our LIST says which versions there are, `Seen` says which ones the
watch has brought; what is still missing after the grace period means that the watch is deaf, and only a restart
helps. The same goes for a watch of children from which nothing has come for minutes while our LISTs are answered,
though it has been opened anew all the time. While the API server doesn't answer nothing can be said and nothing is
done: a
restart would help nobody. `__main__` runs the guard, `handlers` feeds `Seen`, `watching` knows what is silent.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from modelyard_operator import errors

logger = logging.getLogger(__name__)

_SILENT_SECONDS = 120.0  # a watch of children says something every 40 s, if only how far it has come
_LOOK_SECONDS = 0.5  # how often the watch's progress is looked at during the grace period


class Deaf(Exception):  # noqa: N818 - named for what it means
    """The watch has not brought what the API server has; the process has to start anew."""


class Seen:
    """The newest version of each ModelDeployment that the watch has brought."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def note(self, uid: str, resource_version: str) -> None:
        """Remember that the watch has brought this version."""
        self._versions[uid] = max(int(resource_version), self._versions.get(uid, 0))

    def forget(self, uid: str) -> None:
        """Remember that the watch has brought a deletion."""
        self._versions.pop(uid, None)

    def lacks(self, listed: Mapping[str, int]) -> frozenset[str]:
        """Give the UIDs of which the watch has brought an older version than was listed, or none."""
        return frozenset(uid for uid, version in listed.items() if self._versions.get(uid, 0) < version)


class Guard:
    """Compares the watch with the API server from time to time."""

    def __init__(
        self,
        seen: Seen,
        list_versions: Callable[[], Awaitable[Mapping[str, int]]],
        silent: Callable[[float], tuple[str, ...]],
        grace_seconds: float,
    ) -> None:
        self._seen = seen
        self._list_versions = list_versions
        self._silent = silent
        self._grace_seconds = grace_seconds

    async def watch(self, interval_seconds: float) -> None:
        """Look again and again.

        Raises:
            Deaf: when the watch has fallen behind for good.
        """
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                await self.check()
            except errors.ClusterError as error:
                logger.warning("freshness can't be told", extra={"error": str(error)})

    async def check(self) -> None:
        """Look once.

        Raises:
            Deaf: when something that was listed hasn't come through the watch within the grace period, or when a
                watch of children is silent.
            errors.ClusterError: when the API server doesn't answer.
        """
        listed = await self._list_versions()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace_seconds
        while (late := self._seen.lacks(listed)) or self._silent(_SILENT_SECONDS):
            if loop.time() >= deadline:
                if silent := self._silent(_SILENT_SECONDS):
                    raise Deaf(f"nothing comes from the watches of {', '.join(silent)}")
                # What has been deleted in the meantime can't be brought any more.
                still_there = late & (await self._list_versions()).keys()
                if still_there:
                    raise Deaf(f"the watch misses changes of {len(still_there)} ModelDeployments")
                return
            await asyncio.sleep(min(_LOOK_SECONDS, self._grace_seconds))
