"""Field ownership for the API in memory: which leaves an object has, and reading, writing and dropping one of them.

A path is a tuple of FieldsV1 segments: "f:spec", "k:{\"name\":\"serve\"}", "f:image". Used by `cluster_memory` only.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

from modelyard_operator import drift
from modelyard_operator.objects import Manifest

Path = tuple[str, ...]
_IDENTITY = {"apiVersion", "kind", "metadata"}
_NOT_OWNED = {
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
}
ABSENT: Any = object()


def leaves(manifest: Manifest) -> Iterator[Path]:
    for key, value in manifest.items():
        if key not in _IDENTITY:
            yield from _below(value, (f"f:{key}",))
    owned = {key: value for key, value in manifest["metadata"].items() if key not in _NOT_OWNED}
    for key, value in owned.items():
        yield from _below(value, ("f:metadata", f"f:{key}"))


def _below(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and value and path != ("f:data",):
        for key, child in value.items():
            yield from _below(child, (*path, f"f:{key}"))
        return
    keys = drift._keys((path[-1][2:],), value) if isinstance(value, list) else None
    if not keys:
        yield path
        return
    for item in value:
        key = json.dumps({key: item[key] for key in keys}, separators=(",", ":"))
        yield from _below(item, (*path, f"k:{key}"))


def tree(paths: set[Path]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for segment in path:
            node = node.setdefault(segment, {})
    return root


def _step(node: Any, segment: str) -> Any:
    if segment.startswith("f:"):
        return node.get(segment[2:], ABSENT) if isinstance(node, dict) else ABSENT
    wanted = json.loads(segment[2:])
    if not isinstance(node, list):
        return ABSENT
    return next((item for item in node if wanted.items() <= item.items()), ABSENT)


def get(manifest: Any, path: Path) -> Any:
    for segment in path:
        manifest = _step(manifest, segment)
    return manifest


def put(node: Any, path: Path, value: Any) -> None:
    for segment, following in zip(path, (*path[1:], ""), strict=True):
        child = _step(node, segment)
        if not following:
            if segment.startswith("f:"):
                node[segment[2:]] = copy.deepcopy(value)
            return
        if child is ABSENT or child is None:
            child = [] if following.startswith("k:") else {}
            if segment.startswith("f:"):
                node[segment[2:]] = child
            else:
                child = json.loads(segment[2:])
                node.append(child)
        node = child


def is_merge_key(path: Path) -> bool:
    """Says whether a leaf is what its list item is found by."""
    return len(path) > 1 and path[-2].startswith("k:") and path[-1][2:] in json.loads(path[-2][2:])


def drop(manifest: Manifest, path: Path) -> None:
    """Remove a leaf, and what it leaves empty above it; an item that loses its merge key is gone."""
    if is_merge_key(path):
        path = path[:-1]
    for depth in range(len(path) - 1, -1, -1):
        parent, segment = get(manifest, path[:depth]), path[depth]
        child = _step(parent, segment)
        if child is ABSENT:
            continue
        if (
            depth < len(path) - 1
            and child
            and not (segment.startswith("k:") and child == json.loads(segment[2:]))
        ):
            return
        if segment.startswith("f:"):
            del parent[segment[2:]]
        else:
            parent.remove(child)


def merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            merge(target[key], value)
        else:
            target[key] = value
