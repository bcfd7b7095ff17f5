"""The fields of a ModelDeployment's spec as the CRD's own schema lists them, and specs that set every one of them.

Read from `crd.manifest()`, so that a field which is new in the CRD is covered by every test that goes over the fields
without anybody remembering to. `GOOD` holds what a schema can't tell: a good value of a text that a rule restricts.
"""

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from modelyard_operator import crd

Schema = dict[str, Any]
Path = tuple[str | int, ...]

GOOD: dict[str, Any] = {
    "spec.model.uri": "s3://models/iris/model.joblib",
    "spec.model.digest": "sha256:" + "0123456789abcdef" * 4,
    "spec.model.credentials.secretName": "models-s3",
    "spec.model.signature.publicKey.secretName": "team-key",
    "spec.model.signature.publicKey.key": "team.pub",
    "spec.model.signature.uri": "s3://models/iris/model.sig",
    "spec.model.name": "flowers",
    "spec.model.format": "sklearn",
    "spec.runtime.class": "default",
    "spec.access.tokens.secretName": "tokens",
    "spec.access.tls.secretName": "certificate",
    "spec.validation.samples[0].inputs": {"X": [[1.0, 2.0]]},
    "spec.validation.samples[0].expect": [1.0],
    "spec.validation.samples[0].tolerance": 0.5,
    "spec.validation.samplesURI": "s3://models/iris/samples.json",
    "spec.autoscaling.maxReplicas": 4,
    "spec.autoscaling.minReplicas": 2,
    "spec.autoscaling.metrics": [
        {
            "type": "Resource",
            "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 70}},
        }
    ],
    "spec.autoscaling.behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    "spec.resources.requests": {"cpu": "200m", "memory": "128Mi"},
    "spec.resources.limits": {"cpu": 2, "memory": "2Gi"},
    "spec.pod.labels": {"team.example.com/key": "x"},
    "spec.pod.nodeSelector": {"disk": "ssd"},
    "spec.pod.tolerations[0].key": "gpu",
    "spec.pod.tolerations[0].operator": "Equal",
    "spec.pod.tolerations[0].value": "x",
    "spec.pod.tolerations[0].effect": "NoExecute",
    "spec.pod.topologySpread[0].topologyKey": "topology.kubernetes.io/zone",
    "spec.replicas": 2,
    "spec.paused": False,
}
# Two fields that exclude each other: every spec that sets all others has one of them.
_EITHER = ("replicas", "autoscaling")
_KEY = "team.example.com/key"


class Field(msgspec.Struct, frozen=True):
    """One place in a spec that takes a value."""

    path: Path
    node: Schema
    required: bool

    @property
    def name(self) -> str:
        """The path as the API server writes it in its refusals."""
        return dotted(self.path)

    @property
    def is_leaf(self) -> bool:
        """Say whether nothing of the schema lies below."""
        return not {"properties", "additionalProperties", "items"} & self.node.keys()


def dotted(path: Path) -> str:
    """Give a path for people: spec.pod.tolerations[0].key."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def root() -> Schema:
    """Give the schema of the spec."""
    schema: Schema = crd.manifest()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    found: Schema = schema["properties"]["spec"]
    return found


def fields() -> tuple[Field, ...]:
    """Give every field below the spec, list items and map entries included, in the schema's order."""
    return tuple(_below(Field(("spec",), root(), required=True)))[1:]


def _below(field: Field) -> Iterator[Field]:
    yield field
    node = field.node
    for name, child in node.get("properties", {}).items():
        yield from _below(Field((*field.path, name), child, name in node.get("required", ())))
    if "items" in node:
        yield from _below(Field((*field.path, 0), node["items"], required=False))
    if "additionalProperties" in node:
        key = next(iter(GOOD.get(field.name, {_KEY: ""})))
        yield from _below(Field((*field.path, key), node["additionalProperties"], required=False))


def full(chosen: str = "replicas") -> dict[str, Any]:
    """Give a good spec with every field set; `chosen` is the one of replicas and autoscaling that it has."""
    spec: dict[str, Any] = _good(("spec",), root())
    for name in _EITHER:
        if name != chosen:
            del spec[name]
    return spec


def small() -> dict[str, Any]:
    """Give the smallest good spec."""
    return {"model": {"uri": GOOD["spec.model.uri"]}}


def _good(path: Path, node: Schema) -> Any:
    name = dotted(path)
    if name in GOOD:
        return copy.deepcopy(GOOD[name])
    if "properties" in node:
        return {key: _good((*path, key), child) for key, child in node["properties"].items()}
    if "items" in node:
        return [_good((*path, 0), node["items"])]
    if "additionalProperties" in node:
        return {_KEY: _good((*path, _KEY), node["additionalProperties"])}
    if "x-kubernetes-validations" in node or node.get("x-kubernetes-int-or-string"):
        raise LookupError(
            f"{name} has a rule, so no good value can be made up: add one to {__name__}.GOOD, and a wrong one to"
            " tests/unit/operator/test_bad_input.py"
        )
    return _plain(node)


def _plain(node: Schema) -> Any:
    if "enum" in node:
        return node["enum"][0]
    if node["type"] == "integer":
        return max(node.get("minimum", 1), 1)
    return {"string": "x", "boolean": True, "object": {}}[node["type"]]


def with_value(spec: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """Give a copy of a spec with another value at a path below "spec"; what is missing on the way is made."""
    made: dict[str, Any] = copy.deepcopy(spec)
    node: Any = made
    for step, following in itertools.pairwise(path[1:]):
        if isinstance(node, dict) and step not in node:
            node[step] = [{}] if isinstance(following, int) else {}
        node = node[step]
    node[path[-1]] = value
    return made


def without(spec: dict[str, Any], path: Path) -> dict[str, Any]:
    """Give a copy of a spec without what is at a path."""
    made: dict[str, Any] = copy.deepcopy(spec)
    node: Any = made
    for step in path[1:-1]:
        node = node[step]
    del node[path[-1]]
    return made


def value_at(spec: dict[str, Any], path: Path) -> Any:
    """Give what a spec has at a path; KeyError when nothing."""
    node: Any = spec
    for step in path[1:]:
        node = node[step]
    return node
