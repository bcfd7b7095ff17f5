"""Who leads: what a Lease says, what follows from it, and what to write into it.

`leadership` reads and writes the Lease and keeps the time; the rules are here. Pure: times are arguments, of a clock
that only the observing process knows. Wall clocks of different machines are never compared: a holder counts as gone
when its Lease has not changed for as long as it was promised to be valid, measured from when this process saw it last.

The times, for holder and heir:

    RENEW_SECONDS 2        the holder renews; at most two attempts of CALL_SECONDS 2.5 fit before the deadline
    DEADLINE_SECONDS 7     after the *sending* of its last successful renewal the holder stops writing
    DURATION_SECONDS 10    after *seeing* that renewal, which can only be later, the heir takes over: 3 s in which a
                           write that was sent at the last moment has long been answered or refused
    POLL_SECONDS 1.5       the heir looks

Worst case after the holder's death: seen 1.5 s after its last renewal, expired 10 s later, looked at right then:
11.5 s, and two calls. A holder that leaves in order gives the Lease back, and the heir takes it at its next look.

A Lease that is missing has no version by which one absence could be told from the next, with another's whole reign in
between. So nobody takes a missing one: after ABSENT_SECONDS it is put back, held by nobody, and from then on its age
counts. Not sooner, because when the chart is being removed the Lease should stay removed.
"""

from typing import Any

import msgspec

from modelyard_operator import naming
from modelyard_operator.objects import Manifest

API_VERSION = "coordination.k8s.io/v1"
PLURAL = "leases"

RENEW_SECONDS = 2.0
CALL_SECONDS = 2.5
DEADLINE_SECONDS = 7.0
DURATION_SECONDS = 10
POLL_SECONDS = 1.5
ABSENT_SECONDS = 5.0
_LONGEST_SECONDS = 60  # what another version may promise; a slip of the hand can't block for longer than this
_GIVEN_BACK_SECONDS = (
    1  # the duration in a Lease that was given back; a holder removed by hand leaves the longer one
)


class Candidacy(msgspec.Struct, frozen=True):
    """Which Lease, and under which identity: one that no other process, past or present, has."""

    namespace: str
    name: str
    identity: str

    @property
    def lease(self) -> str:
        """The Lease for people."""
        return f"{self.namespace}/{self.name}"


class Acquire(msgspec.Struct, frozen=True):
    """Take this Lease."""

    lease: Manifest


class Restore(msgspec.Struct, frozen=True):
    """Make a Lease that nobody holds, where there is none."""


class Renew(msgspec.Struct, frozen=True):
    """It is ours: keep it so."""

    lease: Manifest


class Wait(msgspec.Struct, frozen=True):
    """Somebody else may be writing: look again after so many seconds."""

    seconds: float


class Lost(msgspec.Struct, frozen=True):
    """It was ours and now is somebody else's, who is named."""

    holder: str


Decision = Acquire | Restore | Renew | Wait | Lost


class Observation(msgspec.Struct, frozen=True):
    """A Lease, or that there is none.

    Attributes:
        lease: what was seen.
        since: when it was first seen so, by an unbroken row of looks.
        was_held: whether somebody has been seen to hold it.
        looked: when it was last looked at.
    """

    lease: Manifest | None
    since: float
    was_held: bool = False
    looked: float = 0.0


def observe(before: Observation | None, lease: Manifest | None, now: float) -> Observation:
    """Give what is known after another look, `now` being when its answer came.

    What is unchanged keeps its age, unless the API server was out of reach for so long that the holder may not have
    got through to it either: an outage is no reason for another leader.
    """
    if before is None:
        return Observation(lease, now, looked=now)
    if _version(before.lease) == _version(lease) and now - before.looked <= DEADLINE_SECONDS:
        return msgspec.structs.replace(before, looked=now)
    return Observation(lease, now, before.was_held or _holder(before.lease) != "", looked=now)


def decide(seen: Observation, identity: str, *, is_leading: bool, now: float) -> Decision:
    """Give what a process of that identity has to do."""
    if seen.lease is None:
        is_gone = now >= seen.since + ABSENT_SECONDS
        return Restore() if is_gone else Wait(min(POLL_SECONDS, seen.since + ABSENT_SECONDS - now))
    holder, promised = _holder(seen.lease), _promised(seen.lease)
    if holder == identity:
        return Renew(seen.lease)
    if is_leading and holder:
        return Lost(holder)
    is_given_back = promised == _GIVEN_BACK_SECONDS or (promised == 0 and not seen.was_held)
    if not holder and is_given_back and not is_leading:
        return Acquire(seen.lease)
    # Held by another, put back or emptied by hand: whoever held it may go on writing until its own deadline.
    expires = seen.since + max(promised, DURATION_SECONDS)
    if now >= expires:
        return Acquire(seen.lease)
    return Wait(min(POLL_SECONDS, expires - now))


def taken(held: Manifest, identity: str, stamp: str) -> Manifest:
    """Give the Lease with us as its holder; `stamp` is the wall clock.

    It names the version that was seen: the API server refuses it when somebody was faster.
    """
    spec = _spec(held)
    is_ours = _holder(held) == identity
    written = {
        "holderIdentity": identity,
        "leaseDurationSeconds": DURATION_SECONDS,
        "acquireTime": spec.get("acquireTime", stamp) if is_ours else stamp,
        "renewTime": stamp,
        "leaseTransitions": spec.get("leaseTransitions", 0) + (0 if is_ours else 1),
    }
    return {**held, "spec": {**spec, **written}}


def restored(namespace: str, name: str) -> Manifest:
    """Give a Lease that nobody holds and that can't be taken before it is as old as any promise."""
    labels = {naming.LABEL_PART_OF: naming.APP}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    spec = {"holderIdentity": "", "leaseDurationSeconds": DURATION_SECONDS}
    return {"apiVersion": API_VERSION, "kind": "Lease", "metadata": metadata, "spec": spec}


def given_back(seen: Manifest | None, identity: str, stamp: str) -> Manifest | None:
    """Give the Lease as the next holder may take it at once; None when it isn't ours to give."""
    if seen is None or _holder(seen) != identity:
        return None
    released = {"holderIdentity": "", "leaseDurationSeconds": _GIVEN_BACK_SECONDS, "renewTime": stamp}
    return {**seen, "spec": {**_spec(seen), **released}}


def _spec(lease: Manifest | None) -> dict[str, Any]:
    spec: dict[str, Any] = (lease or {}).get("spec") or {}
    return spec


def _holder(lease: Manifest | None) -> str:
    holder: str = _spec(lease).get("holderIdentity") or ""
    return holder


def _promised(lease: Manifest | None) -> int:
    """Give how long the holder may rely on the Lease: 0 when nobody has held it since it was made."""
    promised: int = _spec(lease).get("leaseDurationSeconds") or 0
    return min(promised, _LONGEST_SECONDS)


def _version(lease: Manifest | None) -> str:
    return "" if lease is None else lease["metadata"]["resourceVersion"]
