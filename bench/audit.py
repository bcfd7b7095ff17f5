"""Counts an identity's API calls in the API server's audit log: what was really sent, whatever the sender counts.

Used by `measures`. Each call is counted once, by the line that is written when it is complete; watches that run on have
none and are not counted.
"""

import collections
from pathlib import Path

import msgspec

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
# A lease is renewed by the clock and an Event is a message to people: neither is a write to what is managed.
_BESIDE = frozenset({"leases", "events"})


class _User(msgspec.Struct):
    username: str


class _Reference(msgspec.Struct):
    resource: str = ""


class _Line(msgspec.Struct, rename="camel"):
    stage: str
    verb: str
    user: _User
    object_ref: _Reference = msgspec.field(default_factory=_Reference)


class Audit:
    """The audit log from a moment on."""

    def __init__(self, logs: Path, user: str) -> None:
        self._path = logs / "audit.log"
        self._user = user
        found = self._path.stat()
        self._inode, self._offset = found.st_ino, found.st_size

    def calls(self) -> collections.Counter[tuple[str, str]]:
        """Give (verb, resource) -> calls since then."""
        decoder = msgspec.json.Decoder(_Line)
        counted: collections.Counter[tuple[str, str]] = collections.Counter()
        wanted = f'"username":"{self._user}"'.encode()
        for raw in self._lines():
            if wanted in raw:
                line = decoder.decode(raw)
                if line.stage == "ResponseComplete" and line.user.username == self._user:
                    counted[line.verb, line.object_ref.resource] += 1
        return counted

    def _lines(self) -> list[bytes]:
        # The log server turns the file over at 100 MB; what was read up to then is found by its inode.
        files = sorted(self._path.parent.glob("audit*.log"), key=lambda path: path.stat().st_mtime)
        started = [path for path in files if path.stat().st_ino == self._inode]
        if not started:
            raise RuntimeError(
                "the audit log was turned over twice during one measurement; nothing can be counted"
            )
        lines: list[bytes] = []
        for path in files[files.index(started[0]) :]:
            with path.open("rb") as log:
                log.seek(self._offset if path == started[0] else 0)
                lines += [line for line in log.read().splitlines() if line.endswith(b"}")]
        return lines


def writes(calls: collections.Counter[tuple[str, str]]) -> int:
    """Give how many of the calls wrote to ModelDeployments or their children."""
    return sum(
        count
        for (verb, resource), count in calls.items()
        if verb in _WRITES and resource not in _BESIDE and not resource.endswith("reviews")
    )
