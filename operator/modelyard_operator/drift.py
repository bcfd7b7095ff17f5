"""Compares what should be with what is there, so that a converged object is never written.

Two questions, asked by `plan` about children and by `reconciler` about the status:
1. Has the live object every field we want, with our value? Defaults and other people's fields don't matter.
2. Does our field manager still own a field that we no longer want? managedFields says so; an apply would remove it.
When neither finds anything, a server-side apply would change nothing. Pure.
"""

import functools
import json
from collections.abc import Mapping
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
    found: list[Path] = []
    _add_missing(desired, live, (), found)
    _add_surplus(desired, owned_fields(live, manager, subresource), (), found)
    return tuple(dict.fromkeys(".".join(path) for path in found))


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


def applied(live: Manifest, manager: str) -> Manifest:
    """Give what a manager has applied to an object, as far as it is still the manager's: its fields and no others."""
    part: Manifest = _owned_part(live, owned_fields(live, manager))
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], **part}


def _owned_part(live: Any, owned: Mapping[str, Any]) -> Any:
    """Give the part of a value that a FieldsV1 tree lists."""
    if not owned:
        return live  # a leaf, which may be a list or a map that belongs together
    if isinstance(live, list):
        trees = [(_merge_key(key[2:]), tree) for key, tree in owned.items() if key[:2] == "k:"]
        found = ((item, tree) for item in live for key, tree in trees if key.items() <= item.items())
        members = [json.loads(key[2:]) for key in owned if key[:2] == "v:"]
        return [_owned_part(item, tree) for item, tree in found] + members
    names = {key[2:]: tree for key, tree in owned.items() if key[:2] == "f:"}
    return {name: _owned_part(live[name], tree) for name, tree in names.items() if name in live}


# Both comparisons collect into a list: they are most of a visit's work, and generators would take twice as long.


def _add_missing(desired: Any, live: Any, path: Path, found: list[Path]) -> None:
    """Add the paths of `desired` that `live` lacks or has with another value."""
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            found.append(path)
            return
        for key, value in desired.items():
            if key not in live:
                found.append((*path, key))
                continue
            other = live[key]
            # Most leaves are text; the API server answers in the types of its schema, so 1 never stands for true.
            if value is not other and (type(value) is not type(other) or value != other):
                _add_missing(value, other, (*path, key), found)
    elif isinstance(desired, list):
        _add_missing_items(desired, live, path, found)
    elif not _is_same(desired, live, path):
        found.append(path)


def _add_missing_items(desired: list[Any], live: Any, path: Path, found: list[Path]) -> None:
    if not isinstance(live, list):
        found.append(path)
        return
    keys = _keys(path, desired)
    if keys is None:
        if len(desired) != len(live):
            found.append(path)
            return
        for index, item in enumerate(desired):
            _add_missing(item, live[index], (*path, str(index)), found)
        return
    for item in desired:
        if item in live:
            continue
        wanted = {key: item[key] for key in keys}
        other = _find(wanted, live)
        name = (*path, "/".join(str(value) for value in wanted.values()))
        if other is None:
            found.append(name)
        else:
            _add_missing(item, other, name, found)


def _add_surplus(desired: Any, owned: Mapping[str, Any], path: Path, found: list[Path]) -> None:
    """Add the paths that `owned` (FieldsV1) lists and `desired` no longer has."""
    for key, subtree in owned.items():
        kind, name = key[:2], key[2:]
        child: Any = None
        if kind == "f:":
            child = desired.get(name) if isinstance(desired, dict) else None
        elif kind == "k:":
            wanted = _merge_key(name)
            child = _find(wanted, desired) if isinstance(desired, list) else None
            name = "/".join(str(value) for value in wanted.values())
        elif kind == "v:":
            name = json.loads(name)
            child = name if isinstance(desired, list) and name in desired else None
        else:
            continue  # ".": the object or item itself, which its fields speak for
        if child is None and name not in _IDENTITY:
            found.append((*path, str(name)))
        elif subtree:
            _add_surplus(child, subtree, (*path, str(name)), found)


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
    pairs = wanted.items()
    for item in items:
        if pairs <= item.items():
            return item
    return None


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
