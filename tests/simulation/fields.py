"""Field ownership for the fast API: the same paths as `cluster_fields`, on objects that are never changed in place.

Used by `api` only. A manifest is flattened once per content; reading shares structure, writing copies only the
containers on the way to what changes.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from modelyard_operator.objects import Manifest
from tests.support import cluster_fields
from tests.support.cluster_fields import ABSENT, Path

_FLAT: dict[bytes, dict[Path, Any]] = {}
_FLAT_LIMIT = 20_000  # contents; a process that has seen more starts anew


def flatten(manifest: Manifest) -> dict[Path, Any]:
    """Give the leaves of a manifest with their values, in the order in which they have to be put."""
    key = msgspec.json.encode(manifest)
    found = _FLAT.get(key)
    if found is None:
        if len(_FLAT) > _FLAT_LIMIT:
            _FLAT.clear()
        found = {path: get(manifest, path) for path in cluster_fields.leaves(manifest)}
        _FLAT[key] = found
    return found


@functools.lru_cache(maxsize=20_000)
def owned(paths: frozenset[Path]) -> frozenset[Path]:
    """Give the same set of paths as one object, however often it is made anew."""
    return paths


@functools.lru_cache(maxsize=20_000)
def tree(paths: frozenset[Path]) -> dict[str, Any]:
    """Give the FieldsV1 form of a set of paths; shared, so nobody may change it."""
    return cluster_fields.tree(set(paths))


def below(value: Any, path: Path) -> Iterator[Path]:
    """Give the leaves under one place of a manifest."""
    return cluster_fields._below(value, path)


def get(node: Any, path: Path) -> Any:
    """Give what is at one place of a manifest, ABSENT when there is nothing."""
    for segment in path:
        if segment[0] == "f":
            node = node.get(segment[2:], ABSENT) if isinstance(node, dict) else ABSENT
        elif isinstance(node, list):
            wanted = _merge_key(segment).items()
            node = next((item for item in node if wanted <= item.items()), ABSENT)
        else:
            return ABSENT
        if node is ABSENT:
            return ABSENT
    return node


def put(node: Any, path: Path, value: Any) -> Any:
    """Give the node with one leaf set."""
    segment, rest = path[0], path[1:]
    if segment.startswith("f:"):
        name = segment[2:]
        changed = dict(node or {})
        if rest:
            child = changed.get(name)
            empty: Any = [] if rest[0].startswith("k:") else {}
            changed[name] = put(empty if child is None else child, rest, value)
        else:
            changed[name] = value
        return changed
    items = list(node)
    wanted = _merge_key(segment)
    for index, item in enumerate(items):
        if wanted.items() <= item.items():
            items[index] = put(item, rest, value) if rest else item
            return items
    items.append(put(dict(wanted), rest, value) if rest else dict(wanted))
    return items


def drop(node: Any, path: Path) -> Any:
    """Give the node without one leaf and without what it leaves empty; an item that loses its merge key is gone."""
    if cluster_fields.is_merge_key(path):
        path = path[:-1]
    return _drop(node, path)


def _drop(node: Any, path: Path) -> Any:
    segment, rest = path[0], path[1:]
    child = get(node, (segment,))
    if child is ABSENT:
        return node
    if rest:
        kept = _drop(child, rest)
        is_bare = segment.startswith("k:") and kept == _merge_key(segment)
        if kept and not is_bare:
            if segment.startswith("f:"):
                return {**node, segment[2:]: kept}
            return [kept if item is child else item for item in node]
    if segment.startswith("f:"):
        return {key: value for key, value in node.items() if key != segment[2:]}
    return [item for item in node if item is not child]


def merge(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a merge patch makes of an object."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            there = merged.get(key)
            merged[key] = merge(there if isinstance(there, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def touched(before: Any, after: Any, patch: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """Give the places of an object that a merge patch speaks of."""
    for key, value in patch.items():
        here = (*path, f"f:{key}")
        old = before.get(key) if isinstance(before, dict) else None
        new = after.get(key) if isinstance(after, dict) else None
        # An empty map is a leaf itself.
        if old and new and all(isinstance(each, dict) for each in (value, old, new)):
            yield from touched(old, new, value, here)
        else:
            yield here


@functools.cache
def _merge_key(segment: str) -> dict[str, Any]:
    wanted: dict[str, Any] = json.loads(segment[2:])
    return wanted
