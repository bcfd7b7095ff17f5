"""Which Kubernetes Events a change of status is worth, for the people who run `kubectl describe`.

Called by `recorder` with the status that is there and the one about to be written. Two things are told: that what was
asked for has come to another point (the reason of Ready, or another revision), and that serving began or ended. A
message that merely counts differently is no event. Pure: an event's name follows from the transition it tells, so
that a process which dies between event and status tells the same one again, and the API server refuses it.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard_operator import api, conditions, naming, redaction
from modelyard_operator.objects import Manifest

API_VERSION = "events.k8s.io/v1"
PLURAL = "events"
CONTROLLER = f"{naming.GROUP}/operator"
NOTE_MAX = 1024  # bytes; what the API server takes
_NAME_MAX = 253
_HASH_LENGTH = 16

ROLL_OUT = "RollOut"  # the two actions
SERVE = "Serve"


class Event(msgspec.Struct, frozen=True):
    """One thing to tell; `name` is the object's."""

    name: str
    type: str
    reason: str
    action: str
    note: str


def decide(identity: api.Identity, before: Mapping[str, Any], said: api.Status) -> tuple[Event, ...]:
    """Give the events of the step from one status to the next: none, one or two."""
    events = []
    ready, was_ready = _of(said, conditions.READY), _was(before, conditions.READY)
    is_changed = ready.reason != was_ready.get("reason") or _is_other(before, said)
    # Observing passes within a second and says nothing about the model; what follows it does.
    if is_changed and ready.reason != conditions.OBSERVING:
        is_warning = any(each.type == conditions.STALLED for each in said.conditions)
        events.append(_event(identity, (ROLL_OUT, is_warning), was_ready, ready, _candidate(said)))
    available, was_available = _of(said, conditions.AVAILABLE), _was(before, conditions.AVAILABLE)
    is_told = any(event.reason in (conditions.ROLLED_OUT, available.reason) for event in events)
    is_first = not was_available and available.status == "False"
    if available.status != was_available.get("status") and not is_told and not is_first:
        is_warning = available.reason == conditions.NO_POD_READY
        events.append(_event(identity, (SERVE, is_warning), was_available, available, ""))
    return tuple(events)


def build(identity: api.Identity, event: Event, stamp: str, instance: str) -> Manifest:
    """Give the Event's manifest; `stamp` is the time with microseconds, `instance` the process that tells it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Event",
        "metadata": {"name": event.name, "namespace": identity.namespace},
        "eventTime": stamp,
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "type": event.type,
        "reason": event.reason,
        "action": event.action,
        "note": event.note,
        "regarding": {
            "apiVersion": naming.API_VERSION,
            "kind": naming.KIND,
            "namespace": identity.namespace,
            "name": identity.name,
            "uid": identity.uid,
        },
    }


def _event(
    identity: api.Identity,
    kind: tuple[str, bool],
    was: Mapping[str, Any],
    condition: api.Condition,
    revision: str,
) -> Event:
    action, is_warning = kind
    transition = (
        identity.uid,
        identity.generation,
        action,
        was.get("reason", ""),
        was.get("lastTransitionTime", ""),
        condition.reason,
        revision,
    )
    digest = hashlib.sha256(repr(transition).encode()).hexdigest()[:_HASH_LENGTH]
    return Event(
        name=f"{identity.name[: _NAME_MAX - _HASH_LENGTH - 1]}.{digest}",
        type="Warning" if is_warning else "Normal",
        reason=condition.reason,
        action=action,
        note=_shortened(redaction.redact(condition.message)),
    )


def _is_other(before: Mapping[str, Any], said: api.Status) -> bool:
    """Says whether another revision is on its way than before, though the reason may be the same."""
    candidate = _candidate(said)
    return candidate not in ("", (before.get("candidate") or {}).get("revision"))


def _candidate(said: api.Status) -> str:
    return said.candidate.revision if said.candidate else ""


def _of(said: api.Status, kind: str) -> api.Condition:
    return next(each for each in said.conditions if each.type == kind)


def _was(before: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    earlier = before.get("conditions") or ()
    return next((each for each in earlier if each["type"] == kind), {})


def _shortened(note: str) -> str:
    encoded = note.encode(errors="replace")
    if len(encoded) <= NOTE_MAX:
        return note
    return encoded[: NOTE_MAX - len("…".encode())].decode(errors="ignore") + "…"
