"""Takes the Lease, keeps it, gives it back; opens the fence for exactly as long as nobody else can have it.

Run by `__main__`. `lease` decides, `fence` stops the writes; this module makes the calls at the right times. While the
API server can't be reached the fence closes by itself and the process stays: when the Lease can be renewed
afterwards nobody else has had it, because the renewal names the version it replaces. When somebody else has it, the
process ends, so that nothing of what it had begun is ever finished. It must never open the fence on anything but the
API server's own answer.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from modelyard_operator import errors, fence, lease
from modelyard_operator.objects import Manifest

logger = logging.getLogger(__name__)

PART = "election"  # in the pulse
_RETRY_SECONDS = 0.5  # after a call that failed, while the deadline comes nearer


class Lost(Exception):  # noqa: N818 - named for what it means
    """Another process is the leader now; this one has to end."""


class Leases(Protocol):
    """The two calls that this needs; both raise errors.ClusterError when they fail."""

    async def get_lease(self, namespace: str, name: str) -> Manifest | None:
        """Read a Lease; None when there is none."""
        ...

    async def write_lease(self, manifest: Manifest) -> Manifest:
        """Replace the version of the Lease that the manifest names, or create it; give what is stored then."""
        ...


class Leadership:
    """One process's part in the election."""

    def __init__(
        self,
        leases: Leases,
        barrier: fence.Fence,
        candidacy: lease.Candidacy,
        stamp: Callable[[], str],
        beat: Callable[[str], None],
    ) -> None:
        self._leases = leases
        self._fence = barrier
        self._candidacy = candidacy
        self._stamp = stamp  # the wall clock, for people; nothing is decided on it
        self._beat = beat
        self._seen: lease.Observation | None = None
        self._is_current = False  # what was seen last is our own write's answer, so there is no need to read
        self._said = ""
        self.leads = asyncio.Event()  # set at the first success and for good: who loses it ends

    async def run(self) -> None:
        """Try to lead, then stay the leader.

        Raises:
            Lost: when it was, and somebody else is now.
        """
        while True:
            self._beat(PART)
            try:
                seconds = await self._turn()
            except (errors.ClusterError, TimeoutError) as error:
                self._is_current = False
                self._say("the Lease can't be reached", error=str(error) or "no answer in time")
                seconds = _RETRY_SECONDS if self.leads.is_set() else lease.POLL_SECONDS
            await asyncio.sleep(seconds)

    async def give_back(self) -> None:
        """Let the next leader start at once; call it when no write of ours can be under way any more."""
        self._fence.close()
        if self._seen is None:
            return
        back = lease.given_back(self._seen.lease, self._candidacy.identity, self._stamp())
        if back is None:
            return
        try:
            await self._write(back)
        except (errors.ClusterError, TimeoutError) as error:
            # It runs out by itself.
            self._say("the Lease could not be given back", error=str(error) or "no answer in time")

    async def _turn(self) -> float:
        """Do what has to be done now; give the seconds until the next turn."""
        if not self._is_current or self._seen is None:
            async with asyncio.timeout(lease.CALL_SECONDS):
                found = await self._leases.get_lease(self._candidacy.namespace, self._candidacy.name)
            self._seen = lease.observe(self._seen, found, self._fence.now())
        decision = lease.decide(
            self._seen, self._candidacy.identity, is_leading=self.leads.is_set(), now=self._fence.now()
        )
        match decision:
            case lease.Lost(holder):
                self._fence.close()
                raise Lost(f"{holder} holds the Lease {self._candidacy.lease}")
            case lease.Wait(seconds):
                self._is_current = False
                self._say("standing by")
                return seconds
            case lease.Restore():
                await self._write(lease.restored(self._candidacy.namespace, self._candidacy.name))
                self._say("the Lease was missing and has been put back")
                return lease.POLL_SECONDS
            case lease.Acquire(held) | lease.Renew(held):
                await self._hold(held)
                return lease.RENEW_SECONDS

    async def _hold(self, held: Manifest) -> None:
        sent = self._fence.now()  # before, not after: the heir may see our renewal once it is on its way
        stored = await self._write(lease.taken(held, self._candidacy.identity, self._stamp()))
        self._fence.open(sent + lease.DEADLINE_SECONDS)
        self._seen = lease.Observation(stored, sent, was_held=True, looked=sent)
        self._is_current = True
        self._say("leading")
        self.leads.set()

    async def _write(self, manifest: Manifest) -> Manifest:
        self._is_current = False
        async with asyncio.timeout(lease.CALL_SECONDS):
            return await self._leases.write_lease(manifest)

    def _say(self, message: str, **keys: str) -> None:
        """Log a change of state once."""
        if message != self._said:
            self._said = message
            level = logging.WARNING if keys else logging.INFO
            logger.log(
                level,
                message,
                extra={"lease": self._candidacy.lease, "identity": self._candidacy.identity, **keys},
            )
