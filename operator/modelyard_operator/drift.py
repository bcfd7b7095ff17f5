"""Compares what should be with what is there, so that a converged object is never written.

Two questions, asked by `plan` about children and by `reconciler` about the status:
1. Has the live object every field we want, with our value? Defaults and other people's fields don't matter.
2. Does our field manager still own a field that we no longer want? managedFields says so; an apply would remove it.
When neither finds anything, a server-side apply would change nothing. Pure.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from modelyard_operator import quantities
from modelyard_operator.objects import Manifest

# Lists that the API server merges by key (x-kubernetes-list-type: map), by field name. Others are compared as a whole.
LIST_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "conditions": (("type",),),
    "containers": (("name",),),
    "env": (("name",),),
    "initContainers": (("name",),),
    "ownerReferences": (("uid",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "volumeMounts": (("mountPath",),),
    "volumes": (("name",),),
}
_QUANTITY_FIELDS = frozenset({"averageValue", "sizeLimit"})
_QUANTITY_MAPS = frozenset({"requests", "limits"})
# An apply names the object by these; they are no fields that a manager owns.
_IDENTITY = frozenset({"apiVersion", "kind"})

Path = tuple[str, ...]


def differences(desired: Manifest, live: Manifest, manager: str, subresource: str = "") -> tuple[str, ...]:
    """Give the paths at which an apply of `desired` by `manager` would change `live`; empty when nowhere."""
    missing = _missing(desired, live, ())
    surplus = _surplus(desired, owned_fields(live, manager, subresource), ())
    return tuple(dict.fromkeys(".".join(path) for path in (*missing, *surplus)))


def owned_fields(live: Manifest, manager: str, subresource: str = "") -> Mapping[str, Any]:
    """Give the FieldsV1 tree of what a manager has applied; empty when it hasn't."""
    for entry in live["metadata"].get("managedFields") or ():
        is_ours = entry.get("manager") == manager and entry.get("operation") == "Apply"
        if is_ours and entry.get("subresource", "") == subresource:
            fields: Mapping[str, Any] = entry.get("fieldsV1") or {}
            return fields
    return {}


def owners(live: Manifest, *path: str) -> frozenset[str]:
    """Give the managers that own one field, named by its path, for example "spec", "replicas"."""
    found = set()
    for entry in live["metadata"].get("managedFields") or ():
        tree: Any = entry.get("fieldsV1") or {}
        for name in path:
            tree = tree.get(f"f:{name}") if tree is not None else None
        if tree is not None:
            found.add(entry["manager"])
    return frozenset(found)


def _missing(desired: Any, live: Any, path: Path) -> Iterator[Path]:
    """Give the paths of `desired` that `live` lacks or has with another value."""
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            yield path
            return
        for key, value in desired.items():
            if key in live:
                yield from _missing(value, live[key], (*path, key))
            else:
                yield (*path, key)
    elif isinstance(desired, list):
        yield from _missing_items(desired, live, path)
    elif not _is_same(desired, live, path):
        yield path


def _missing_items(desired: list[Any], live: Any, path: Path) -> Iterator[Path]:
    if not isinstance(live, list):
        yield path
        return
    keys = _keys(path, desired)
    if keys is None:
        if len(desired) != len(live):
            yield path
            return
        for index, item in enumerate(desired):
            yield from _missing(item, live[index], (*path, str(index)))
        return
    for item in desired:
        wanted = {key: item[key] for key in keys}
        found = _find(wanted, live)
        name = (*path, "/".join(str(value) for value in wanted.values()))
        if found is None:
            yield name
        else:
            yield from _missing(item, found, name)


def _surplus(desired: Any, owned: Mapping[str, Any], path: Path) -> Iterator[Path]:
    """Give the paths that `owned` (FieldsV1) lists and `desired` no longer has."""
    for key, subtree in owned.items():
        child: Any = None
        if key.startswith("f:"):
            name = key[2:]
            child = desired.get(name) if isinstance(desired, dict) else None
        elif key.startswith("k:"):
            wanted = _merge_key(key[2:])
            name = "/".join(str(value) for value in wanted.values())
            child = _find(wanted, desired) if isinstance(desired, list) else None
        elif key.startswith("v:"):
            name = json.loads(key[2:])
            child = name if isinstance(desired, list) and name in desired else None
        else:
            continue  # ".": the object or item itself, which its fields speak for
        if child is None and key.removeprefix("f:") not in _IDENTITY:
            yield (*path, str(name))
        elif subtree:
            yield from _surplus(child, subtree, (*path, str(name)))


@functools.lru_cache(maxsize=1024)
def _merge_key(text: str) -> Mapping[str, Any]:
    """Give the key of a list's item; the same few occur in every object."""
    key: Mapping[str, Any] = json.loads(text)
    return key


def _keys(path: Path, items: list[Any]) -> tuple[str, ...] | None:
    """Give the merge keys of a list, None when it is compared as a whole."""
    for keys in LIST_KEYS.get(path[-1] if path else "", ()):
        if all(isinstance(item, dict) and all(key in item for key in keys) for item in items):
            return keys
    return None


def _find(wanted: Mapping[str, Any], items: list[Any]) -> Any:
    return next(
        (item for item in items if all(item.get(key) == value for key, value in wanted.items())), None
    )


def _is_same(desired: Any, live: Any, path: Path) -> bool:
    if type(desired) is type(live) and desired == live:
        return True
    is_quantity = path[-1] in _QUANTITY_FIELDS or (len(path) > 1 and path[-2] in _QUANTITY_MAPS)
    is_quantity = is_quantity or path[-2:] == ("target", "value")
    if not is_quantity or isinstance(desired, bool) or isinstance(live, bool):
        return False
    return (
        isinstance(desired, int | str) and isinstance(live, int | str) and quantities.are_equal(desired, live)
    )
