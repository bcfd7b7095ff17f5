"""What the watches have brought, in memory and small: the view that a visit starts from, at the cost of no API call.

`watching` puts every child's event in, `handlers` every ModelDeployment's, `reconciler` the answers to its own writes
and the objects it has read live. The store never goes back in time: an older version never replaces a newer one, and an
object that the operator has deleted itself doesn't come back with a late event. Nothing here decides anything, and no
write may rest on it alone: docs/adr/0006 says what guards which write.

An object is kept as its JSON, compressed against the first object of its kind, which it resembles in nearly
everything: some hundred bytes instead of eight thousand. The newest ones are kept as they came: an object that comes
once comes several times in the next seconds, and compressing each of its versions would be a good part of
the operator's CPU.
"""

import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable

import msgspec

from modelyard_operator import decoding, naming
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed

Key = tuple[str, str]  # namespace, name
Place = tuple[str, str, str]  # plural, namespace, name

REPLICA_SETS = "replicasets"
PODS = "pods"

# What is kept besides the ModelDeployments: everything with our label.
CHILDREN = (*(kind.plural for kind in Kind), REPLICA_SETS, PODS)

_LEVEL = 1
_RAW_WINDOW = -15  # no header and no checksum: nothing leaves this process
_DICTIONARY_BYTES = 2**15  # what the window of zlib reaches back
_FRESH = 1000  # objects that aren't compressed yet, of some 8 KB
_PAYLOADS = {kind.plural: kind for kind in Kind}
_PLURALS = {naming.KIND: naming.PLURAL, **{kind.kind: kind.plural for kind in Kind}}
# Looked up by label, not by name.
_SEVERAL = (*(kind.plural for kind in Kind if kind.is_per_revision), REPLICA_SETS, PODS)
_SINGLE = tuple(kind for kind in Kind if not kind.is_per_revision)


class _Entry:
    """One object."""

    __slots__ = ("data", "index", "is_compressed", "key", "uid", "version")

    def __init__(self, meta: decoding.Meta, key: Key | None, index: Place | None, data: bytes) -> None:
        self.version = meta.version
        self.uid = meta.uid
        self.key = key
        self.index = index
        self.data = data
        self.is_compressed = False


class Store:
    """Objects by kind and name; so many that have just changed are kept as they came, all others compressed."""

    def __init__(self, fresh: int = _FRESH) -> None:
        self._most_fresh = fresh
        self._entries: dict[str, dict[Key, _Entry]] = defaultdict(dict)  # plural -> namespace, name -> object
        self._names: dict[Place, tuple[str, ...]] = {}  # plural, namespace, instance -> names
        self._fresh: OrderedDict[Place, _Entry] = OrderedDict()  # what isn't compressed yet, the newest last
        self._dictionaries: dict[str, bytes] = {}
        self._deleted: dict[
            str, Place
        ] = {}  # UIDs that we have deleted ourselves and that the watch still has
        self._newest: dict[tuple[str, str], int] = {}  # plural, scope -> how far the watch has come

    # What the watches say

    def put(
        self, plural: str, raw: bytes | msgspec.Raw, meta: decoding.Meta | None = None
    ) -> tuple[Key, ...]:
        """Take an object as its JSON; give the keys it concerns, none when nothing about it is new.

        Raises:
            ValueError: when it isn't the JSON of an object.
        """
        meta = meta or decoding.meta(raw)
        entries, place = self._entries[plural], (meta.namespace, meta.name)
        before = entries.get(place)
        if before is not None and before.version >= meta.version:
            return ()
        if meta.uid in self._deleted and not meta.deletion_timestamp:
            return ()
        key = (meta.namespace, meta.name) if plural == naming.PLURAL else meta.key
        index = _index(plural, meta)
        if before is not None and before.index != index:
            self._drop(plural, place)
        entries[place] = entry = _Entry(meta, key, index, bytes(raw))
        self._keep_fresh((plural, *place), entry)
        if index is not None and (before is None or before.index != index):
            self._names[index] = (*self._names.get(index, ()), meta.name)
        return _keys(before.key if before else None, key)

    def forget(
        self, plural: str, raw: bytes | msgspec.Raw, meta: decoding.Meta | None = None
    ) -> tuple[Key, ...]:
        """Take an object's last state as its JSON, now that it is gone or has lost our label; give the keys.

        Raises:
            ValueError: when it isn't the JSON of an object.
        """
        meta = meta or decoding.meta(raw)
        self._deleted.pop(meta.uid, None)
        place = (meta.namespace, meta.name)
        before = self._entries[plural].get(place)
        if before is not None and before.version > meta.version:
            return ()
        self._drop(plural, place)
        key = (meta.namespace, meta.name) if plural == naming.PLURAL else meta.key
        return _keys(before.key if before else None, key)

    def keep_only(self, plural: str, namespace: str, listed: Iterable[Key], version: int) -> tuple[Key, ...]:
        """Drop what a complete list of that version lacks, of one namespace or of all with ""; give the keys.

        What is newer than the list stays: it was written after the list had been made.
        """
        kept = set(listed)
        found: list[Key] = []
        for place, entry in list(self._entries[plural].items()):
            is_meant = namespace in ("", place[0])
            if is_meant and place not in kept and entry.version <= version:
                self._drop(plural, place)
                found.extend(_keys(entry.key))
        for uid, (kind, where, name) in list(self._deleted.items()):
            if kind == plural and namespace in ("", where) and (where, name) not in kept:
                del self._deleted[uid]
        return tuple(found)

    def advance(self, plural: str, namespace: str, version: int) -> None:
        """Remember how far a watch has come: it has brought everything up to that version."""
        self._newest[plural, namespace] = max(version, self._newest.get((plural, namespace), 0))

    # What the operator itself knows

    def learn(self, manifest: Manifest) -> None:
        """Take an object that the API server has just answered with, to a read or to a write of ours.

        Not one that the watch can't keep up to date because it lacks our label, and not one that the watch has seen go.
        """
        plural = _PLURALS[manifest["kind"]]
        metadata = manifest["metadata"]
        known = self._entries[plural].get((metadata["namespace"], metadata["name"]))
        if known is not None and known.version >= int(metadata["resourceVersion"]):
            return
        came = max(self._newest.get((plural, scope), 0) for scope in ("", metadata["namespace"]))
        is_labelled = (metadata.get("labels") or {}).get(naming.LABEL_MANAGED_BY) == naming.APP
        is_new = is_labelled and int(metadata["resourceVersion"]) > came
        if is_new if known is None else is_labelled or plural == naming.PLURAL:
            self.put(plural, msgspec.json.encode(manifest))

    def bury(self, plural: str, namespace: str, name: str, uid: str) -> None:
        """Take that the operator has deleted an object; late events won't bring it back."""
        entry = self._entries[plural].get((namespace, name))
        if entry is not None and entry.uid == uid:
            self._drop(plural, (namespace, name))
            self._deleted[uid] = (plural, namespace, name)

    def drop(self, plural: str, namespace: str, name: str, version: int) -> None:
        """Drop an object that a live read hasn't found, unless another version has come since: `version` was there."""
        entry = self._entries[plural].get((namespace, name))
        if entry is not None and entry.version == version:
            self._drop(plural, (namespace, name))

    # What visits ask

    def get(self, plural: str, namespace: str, name: str) -> Manifest | None:
        """Give an object; None when there is none."""
        entry = self._entries[plural].get((namespace, name))
        return None if entry is None else self._read(plural, entry)

    def version(self, plural: str, namespace: str, name: str) -> int:
        """Give the version of an object, 0 when there is none."""
        entry = self._entries[plural].get((namespace, name))
        return 0 if entry is None else entry.version

    def observe(self, namespace: str, name: str) -> Observed:
        """Give everything around a ModelDeployment except its pods."""
        found = {kind: self.get(kind.plural, namespace, name) for kind in _SINGLE}
        return Observed(
            children={kind: manifest for kind, manifest in found.items() if manifest is not None},
            revisions=self.select(Kind.CONTROLLER_REVISION.plural, namespace, name),
            locks=self.select(Kind.CONFIG_MAP.plural, namespace, name),
            replica_sets=self.select(REPLICA_SETS, namespace, name),
        )

    def select(self, plural: str, namespace: str, name: str) -> tuple[Manifest, ...]:
        """Give the ControllerRevisions, locks, ReplicaSets or pods of a ModelDeployment, by name."""
        names = self._names.get((plural, namespace, name), ())
        entries = self._entries[plural]
        return tuple(self._read(plural, entries[namespace, each]) for each in sorted(names))

    def resources(self) -> tuple[Key, ...]:
        """Give every ModelDeployment there is."""
        return tuple(self._entries[naming.PLURAL])

    def counts(self) -> dict[str, tuple[int, int]]:
        """Give the number of objects and of their bytes, by kind."""
        return {
            plural: (len(entries), sum(len(entry.data) for entry in entries.values()))
            for plural, entries in self._entries.items()
            if entries
        }

    # Inside

    def _drop(self, plural: str, place: Key) -> None:
        entry = self._entries[plural].pop(place, None)
        self._fresh.pop((plural, *place), None)
        if entry is None or entry.index is None:
            return
        names = tuple(each for each in self._names[entry.index] if each != place[1])
        if names:
            self._names[entry.index] = names
        else:
            del self._names[entry.index]

    def _read(self, plural: str, entry: _Entry) -> Manifest:
        data = self._decompress(plural, entry.data) if entry.is_compressed else entry.data
        manifest: Manifest = msgspec.json.decode(data)
        if (kind := _PAYLOADS.get(plural)) is not None and "kind" not in manifest:
            # Items of a list come without their kind.
            manifest |= {"apiVersion": kind.api_version, "kind": kind.kind}
        return manifest

    def _keep_fresh(self, place: Place, entry: _Entry) -> None:
        """Leave an object as it came, and compress the one that hasn't changed for longest."""
        self._fresh[place] = entry
        self._fresh.move_to_end(place)
        if len(self._fresh) > self._most_fresh:
            (plural, _namespace, _name), oldest = self._fresh.popitem(last=False)
            oldest.data, oldest.is_compressed = self._compress(plural, oldest.data), True

    def _compress(self, plural: str, raw: bytes) -> bytes:
        like = self._dictionaries.setdefault(plural, raw[:_DICTIONARY_BYTES])
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW_WINDOW, 9, zlib.Z_DEFAULT_STRATEGY, like)
        return packer.compress(raw) + packer.flush()

    def _decompress(self, plural: str, data: bytes) -> bytes:
        return zlib.decompressobj(_RAW_WINDOW, self._dictionaries[plural]).decompress(data)


def _index(plural: str, meta: decoding.Meta) -> Place | None:
    """Give under what an object that is looked up by label is found, as `naming.selector_labels` would."""
    if plural not in _SEVERAL or meta.labels is None or meta.labels.name != naming.APP_NAME:
        return None
    return plural, meta.namespace, meta.labels.instance


def _keys(*keys: Key | None) -> tuple[Key, ...]:
    return tuple(dict.fromkeys(key for key in keys if key is not None))
