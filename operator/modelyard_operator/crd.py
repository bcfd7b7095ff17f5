"""Writes the CustomResourceDefinition and its reference from the API types, so that they can't drift apart.

Run by hand or by `make generate`, never by the operator:
    python -m modelyard_operator.crd --write crds charts/modelyard docs/reference
`manifest` is also what the tests install and what the contract tests compare. PyYAML is needed for writing only.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from modelyard_operator import api, naming, rules
from modelyard_operator import spec as specs

FILE_NAME = f"{naming.PLURAL}.{naming.GROUP}.yaml"
_COLUMNS = (
    (
        "Ready",
        "string",
        '.status.conditions[?(@.type=="Ready")].status',
        "Everything asked for is rolled out.",
        0,
    ),
    ("Available", "string", ".status.available", "Ready pods / pods asked for.", 0),
    ("Format", "string", ".status.format", "Format of the model.", 0),
    ("Digest", "string", ".status.digest", "Start of the SHA-256 digest of what serves.", 0),
    ("URL", "string", ".status.url", "Address inside the cluster.", 0),
    ("Age", "date", ".metadata.creationTimestamp", "Time since it was created.", 0),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why Ready is what it is.", 0),
    ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', "The same for people.", 1),
)


def manifest() -> dict[str, Any]:
    """Give the CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{naming.PLURAL}.{naming.GROUP}"},
        "spec": {
            "group": naming.GROUP,
            "names": {
                "kind": naming.KIND,
                "listKind": f"{naming.KIND}List",
                "plural": naming.PLURAL,
                "singular": naming.SINGULAR,
                "shortNames": [naming.SHORT_NAME],
                "categories": [naming.CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": naming.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, "description": text}
            | ({"priority": 1} if priority else {})
            for name, kind, path, text, priority in _COLUMNS
        ],
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "schema": {"openAPIV3Schema": _root()},
    }


def _root() -> dict[str, Any]:
    status = schema(inspect.type_info(api.Status))
    # -1 keeps tools that compare generations from calling a resource ready that nobody has looked at yet. Nothing in
    # the status is required: the default has to be valid, and only the operator writes it.
    status["default"] = {"observedGeneration": -1}
    status.pop("required")
    name = {"type": "string", "maxLength": rules.NAME_MAX}
    return {
        "description": "A trained model, served over HTTP by pods of its own.",
        "type": "object",
        "required": ["spec"],
        "x-kubernetes-validations": [
            {
                "rule": rule.cel.replace("self.", "self.metadata.name."),
                "message": f"metadata.name {rule.message}",
            }
            for rule in rules.NAME
        ],
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": "Version of the API that this resource is written in.",
            },
            "kind": {"type": "string", "description": "ModelDeployment."},
            "metadata": {"type": "object", "properties": {"name": name}},
            "spec": schema(inspect.type_info(specs.CheckedSpec)),
            "status": status
            | {"description": "What the operator last saw and did. Written by the operator only."},
        },
    }


def schema(type_info: inspect.Type) -> dict[str, Any]:
    """Give the structural schema of a type: inlined, with its descriptions, limits and rules."""
    if isinstance(type_info, inspect.Metadata):
        return _annotated(type_info)
    if isinstance(type_info, inspect.UnionType):
        inner = rules.optional(type_info)
        # The only true union is int | str, which Kubernetes has a word for.
        return schema(inner) if inner else {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    if isinstance(type_info, inspect.StructType):
        return _struct(type_info)
    if isinstance(type_info, inspect.ListType | inspect.DictType):
        return _collection(type_info)
    return _scalar(type_info)


def _annotated(type_info: inspect.Metadata) -> dict[str, Any]:
    extra = dict(type_info.extra_json_schema or {})
    description = {"description": extra.pop("description")} if "description" in extra else {}
    made = description | schema(type_info.type) | description | extra
    checks = [
        {"rule": rule.cel, "message": rule.message} for rule in (type_info.extra or {}).get("rules", ())
    ]
    if checks:
        made["x-kubernetes-validations"] = made.get("x-kubernetes-validations", []) + checks
    return made


def _collection(type_info: inspect.ListType | inspect.DictType) -> dict[str, Any]:
    if isinstance(type_info, inspect.ListType):
        limits = {} if type_info.max_length is None else {"maxItems": type_info.max_length}
        return {"type": "array", "items": schema(type_info.item_type), **limits}
    if isinstance(type_info.value_type, inspect.AnyType):
        return {"type": "object"}
    return {"type": "object", "additionalProperties": schema(type_info.value_type)}


def _struct(type_info: inspect.StructType) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object"}
    required = [field.encode_name for field in type_info.fields if field.required]
    if required:
        made["required"] = required
    made["properties"] = {field.encode_name: schema(field.type) for field in type_info.fields}
    return made


def _scalar(type_info: inspect.Type) -> dict[str, Any]:
    if isinstance(type_info, inspect.BoolType):
        return {"type": "boolean"}
    if isinstance(type_info, inspect.StrType):
        return {"type": "string"} | (
            {} if type_info.max_length is None else {"maxLength": type_info.max_length}
        )
    if isinstance(type_info, inspect.LiteralType):
        return {"type": "string", "enum": list(type_info.values)}
    if isinstance(type_info, inspect.IntType):
        limits = {"minimum": type_info.ge, "maximum": type_info.le}
        bounds = {key: value for key, value in limits.items() if value is not None}
        # Kinds of 32 bits, as in every Kubernetes API; what counts generations has 64.
        return {"type": "integer", "format": "int32" if bounds else "int64", **bounds}
    if isinstance(type_info, inspect.FloatType):
        ends = {"minimum": type_info.ge, "maximum": type_info.le}
        return {"type": "number", **{key: value for key, value in ends.items() if value is not None}}
    if isinstance(type_info, inspect.AnyType):
        return {}  # whatever JSON there is; the field says x-kubernetes-preserve-unknown-fields
    raise TypeError(f"the CRD has no schema for {type_info}")


class Field(msgspec.Struct, frozen=True):
    """One line of the reference."""

    path: str
    type: str
    required: bool
    description: str
    checks: tuple[str, ...]


def fields(made: dict[str, Any], path: str, *, required: bool = True) -> Iterable[Field]:
    """Give a schema and everything below it, one field after the other."""
    checks = [rule["message"] for rule in made.get("x-kubernetes-validations", ())]
    checks += [f"{word} {made[key]}" for key, word in _LIMITS.items() if key in made]
    yield Field(path, _type_name(made), required, made.get("description", ""), tuple(checks))
    for name, child in made.get("properties", {}).items():
        yield from fields(child, f"{path}.{name}", required=name in made.get("required", ()))
    items = made.get("items", {})
    if items.get("properties"):
        yield from fields(items, f"{path}[]")
    values = made.get("additionalProperties")
    if values and "x-kubernetes-validations" in values:
        yield from fields(values, f"{path}.*", required=False)


_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "maxLength": "longest",
    "maxItems": "most items",
    "maxProperties": "most entries",
}


def _type_name(made: dict[str, Any]) -> str:
    if made.get("x-kubernetes-int-or-string"):
        return "quantity"
    if "enum" in made:
        return " \\| ".join(made["enum"])
    if made.get("type") == "array":
        return f"list of {_type_name(made['items'])}"
    if "additionalProperties" in made:
        return f"map of {_type_name(made['additionalProperties'])}"
    return str(made.get("type", "any JSON value"))


def reference() -> str:
    """Give docs/reference/modeldeployment.md: every field of spec and status."""
    root = _root()["properties"]
    lines = [
        "# ModelDeployment",
        "",
        "<!-- Generated by python -m modelyard_operator.crd; do not edit. -->",
        "",
        f"`apiVersion: {naming.API_VERSION}`, `kind: {naming.KIND}`, short name `{naming.SHORT_NAME}`. The same text is"
        " in `kubectl explain modeldeployment.spec`.",
        "",
        f"`metadata.name` {rules.NAME[0].message}; longest {rules.NAME_MAX}.",
    ]
    for part in ("spec", "status"):
        lines += ["", f"## {part}", "", "| field | type | meaning | rules |", "|---|---|---|---|"]
        for field in fields(root[part], part):
            needed = "**required.** " if field.required and part == "spec" and "[]" not in field.path else ""
            checks = "; ".join(field.checks)
            lines.append(f"| `{field.path}` | {field.type} | {needed}{field.description} | {checks} |")
    return "\n".join([*lines, ""])


def write(crds: Path, chart: Path, docs: Path) -> None:
    """Write the CRD, the chart's copy of it and the reference."""
    import yaml  # noqa: PLC0415 - a development tool; the operator's image has none

    text = "# Generated by python -m modelyard_operator.crd; do not edit.\n" + yaml.safe_dump(
        manifest(), sort_keys=False, width=120
    )
    outputs = {
        crds / FILE_NAME: text,
        chart / "files" / FILE_NAME: text,
        docs / "modeldeployment.md": reference(),
    }
    for path, content in outputs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def main(arguments: list[str]) -> None:
    """Write the generated files."""
    parser = argparse.ArgumentParser(prog="python -m modelyard_operator.crd", description=__doc__)
    parser.add_argument("--write", nargs=3, type=Path, required=True, metavar=("CRDS", "CHART", "DOCS"))
    write(*parser.parse_args(arguments).write)


if __name__ == "__main__":
    main(sys.argv[1:])
