"""The watches of one process in the simulation: they lag, repeat themselves, skip what is overtaken, and list anew.

`Watches` feeds a real `store.Store` from the history of the API, one stream for each kind, as the API server would:
children by the operator's label, so that an object which loses it is told as deleted. What a stream may do wrong here
is what it may do in a cluster; events of one object never come in another order without a new list.
"""

import random
from collections.abc import Sequence

import msgspec

from modelyard_operator import naming, store
from modelyard_operator.objects import Kind, Manifest
from tests.simulation import api

STREAMS = (naming.PLURAL, *(kind.plural for kind in Kind), "replicasets", "pods")


class PlainStore(store.Store):
    """The store without the compression, which costs the simulation half of its time and has tests of its own."""

    def _compress(self, plural: str, raw: bytes | msgspec.Raw) -> bytes:
        return bytes(raw)

    def _decompress(self, plural: str, data: bytes) -> bytes:
        return data


class _Event:
    """One change as a watch tells it; the JSON is made when the first process hears of it."""

    __slots__ = ("_json", "is_gone", "manifest", "name", "version")

    def __init__(self, name: api.Name, manifest: Manifest, version: int, *, is_gone: bool) -> None:
        self.name = name
        self.manifest = manifest
        self.version = version
        self.is_gone = is_gone
        self._json = b""

    @property
    def json(self) -> bytes:
        """The object as the API server sends it."""
        if not self._json:
            metadata = {**self.manifest["metadata"], "resourceVersion": str(self.version)}
            self._json = msgspec.json.encode({**self.manifest, "metadata": metadata})
        return self._json


class History:
    """Everything that has happened, by kind: what a watch may still tell."""

    def __init__(self) -> None:
        self.events: dict[str, list[_Event]] = {plural: [] for plural in STREAMS}

    def note(self, change: api.Change, version: int) -> None:
        """Take down one change, as far as the operator's watches see it."""
        plural = change.name[0]
        was, now = (
            manifest is not None and _is_watched(plural, manifest)
            for manifest in (change.before, change.after)
        )
        manifest = change.after if now else change.before
        if plural in self.events and manifest is not None and (was or now):
            seen = change.after or manifest
            self.events[plural].append(_Event(change.name, seen, version, is_gone=not now))

    def at(self, plural: str, position: int) -> list[_Event]:
        """Give what a list that is as old as a position of the history holds."""
        there: dict[api.Name, _Event] = {}
        for event in self.events[plural][:position]:
            if event.is_gone:
                there.pop(event.name, None)
            else:
                there[event.name] = event
        return list(there.values())


class Watches:
    """One process's streams and the memory that they feed."""

    def __init__(self, history: History, memory: store.Store) -> None:
        self._history = history
        self._memory = memory
        self._positions = dict.fromkeys(STREAMS, 0)
        for plural in STREAMS:
            self.list_anew(plural)

    def catch_up(self) -> bool:
        """Tell everything that has happened, and say whether any of it concerns the resource."""
        told = [self._tell(plural, len(self._history.events[plural])) for plural in STREAMS]
        return any(told)

    def lag(self, draw: random.Random) -> None:
        """Tell some of what has happened: each stream gets as far as it gets."""
        for plural in STREAMS:
            behind = len(self._history.events[plural]) - self._positions[plural]
            self._tell(plural, self._positions[plural] + draw.randint(0, behind))

    def repeat(self, draw: random.Random) -> None:
        """Tell something old of the resource again, as a connection to an API server that is behind does.

        The streams of the children leave out by themselves what they have told already (`watching` of the operator).
        """
        position = self._positions[naming.PLURAL]
        for event in self._history.events[naming.PLURAL][max(0, position - draw.randint(1, 6)) : position]:
            self._hear(event)

    def list_anew(self, plural: str, older_by: int = 0) -> None:
        """Replace a stream by a list that may be older than what the stream has told, and go on from there."""
        position = max(0, len(self._history.events[plural]) - older_by)
        found = self._history.at(plural, position)
        version = self._history.events[plural][position - 1].version if position else 0
        for event in found:
            self._memory.put(plural, event.json)
        self._memory.keep_only(plural, "", [event.name[1:] for event in found], version)
        self._memory.advance(plural, "", version)
        self._positions[plural] = position

    def _tell(self, plural: str, until: int) -> bool:
        pending = self._history.events[plural][self._positions[plural] : until]
        self._positions[plural] = until
        concerns = [self._hear(event) for event in _without_overtaken(pending)]
        return any(concerns)

    def _hear(self, event: _Event) -> bool:
        plural = event.name[0]
        take = self._memory.forget if event.is_gone else self._memory.put
        concerned = take(plural, event.json)
        self._memory.advance(plural, "", event.version)
        return ("default", "iris") in concerned


def _without_overtaken(events: Sequence[_Event]) -> list[_Event]:
    """Leave out what the same object has gone through since: nobody acts in between, and it costs half the time."""
    newest = {event.name: event for event in events}
    return [event for event in events if event is newest[event.name]]


def _is_watched(plural: str, manifest: Manifest) -> bool:
    labels = manifest["metadata"].get("labels") or {}
    return plural == naming.PLURAL or labels.get(naming.LABEL_MANAGED_BY) == naming.APP
