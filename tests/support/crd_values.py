"""Wrong and odd values for a field, by what its schema says: what people, templates and attackers write into one.

Pure; `crd_mutations` puts them into specs. A value is told by a word for it, so that a failing case can be read.
"""

from collections.abc import Iterator
from typing import Any

from tests.support import crd_fields

HUGE = 100_000
_ODD_TEXTS: dict[str, str] = {
    "empty": "",
    "a space": " ",
    "Unicode": "modèle-模型-🌸",
    "right to left": "abc\u202egnp.exe",
    "NUL": "a\0b",
    "a control character": "a\x1b[31mb",
    "a line break": "a\nb",
    "a zero-width space": "a\u200bb",
    "a template": "{{ .Values.x }}$(HOME)${HOME}`id`",
    "a path up": "../../etc/passwd",
    "one character": "z",
    "digits": "12345",
    "capitals": "ABC",
    "a dash first": "-a",
    "a dot": ".",
    "two dots inside": "a..b",
    "253 characters": "n" * 253,
    "huge": "h" * HUGE,
}
_ODD_NUMBERS: dict[str, Any] = {
    "-1": -1,
    "0": 0,
    "2^31": 2**31,
    "2^53+1": 2**53 + 1,
    "2^63": 2**63,
    "1e30": 1e30,
    "a float": 1.5,
    "a number as text": "3",
}
_ODD_QUANTITIES: dict[str, Any] = {
    "zero": "0",
    "negative": "-1",
    "negative zero": "-0",
    "1e30": "1e30",
    "1e-30": "1e-30",
    "thousandths": "100m",
    "two dots": "1.5.5",
    "a space inside": "1 Gi",
    "a wrong unit": "1gi",
    "a unit of bytes": "1GB",
    "not a number": "NaN",
    "infinite": "Inf",
    "hexadecimal": "0x10",
    "Arabic digits": "\u0661Gi",
    "a plus": "+1",
    "a unit alone": "Gi",
    "a fraction of a byte": "0.5",
    "many digits": "1" * 24,
    "too many digits": "1" * 25,
    "exbibytes": "9Ei",
    "a large number": 2**53,
    "a huge number": 2**63,
}
_OF_EACH_TYPE: dict[str, Any] = {
    "text": "text",
    "integer": 7,
    "float": 0.5,
    "true": True,
    "list": [],
    "object": {},
}
_ANYTHING: dict[str, Any] = {"text": "x", "a number": 2**53 + 1, "nested": {"X": [[{}]]}, "huge": "h" * HUGE}
_TYPES = {
    "string": {"text"},
    "number": {"integer", "float"},
    "integer": {"integer"},
    "boolean": {"true"},
    "array": {"list"},
    "object": {"object"},
}


def values(field: crd_fields.Field, good: Any) -> Iterator[tuple[str, Any]]:
    """Give (word, value) for everything worth trying in a field whose good value is known."""
    node = field.node
    yield "null", None
    is_quantity = node.get("x-kubernetes-int-or-string", False)
    if not is_quantity and "type" not in node:
        yield from _ANYTHING.items()
        return
    fitting = {"text", "integer"} if is_quantity else _TYPES[node["type"]]
    for word, value in _OF_EACH_TYPE.items():
        if word not in fitting:
            yield f"a wrong type, {word}", value
    if is_quantity:
        yield from _ODD_QUANTITIES.items()
    elif "enum" in node:
        yield from _near(node["enum"])
    elif node["type"] == "string":
        yield from _texts(node, good)
    elif node["type"] in ("integer", "number"):
        yield from _numbers(node)
    elif node["type"] == "boolean":
        yield from (("false", False), ("true", True), ("one", 1), ("yes", "yes"))
    elif node["type"] == "array":
        yield from _lists(node, good)
    else:
        yield from _objects(node, good)


def _near(choices: list[str]) -> Iterator[tuple[str, Any]]:
    for choice in choices:
        yield f"the choice {choice}", choice
        yield f"{choice} in capitals", choice.upper() + ("" if choice.upper() != choice else "X")
        yield f"{choice} and a space", f"{choice} "
    yield from (("an outsider", "Outsider"), ("empty", ""), ("a null byte", f"{choices[0]}\0"))


def _texts(node: crd_fields.Schema, good: str) -> Iterator[tuple[str, Any]]:
    yield from _ODD_TEXTS.items()
    yield from (
        ("a space before it", f" {good}"),
        ("a space after it", f"{good} "),
        ("in capitals", good.upper() if good.upper() != good else f"{good}_"),
        ("cut by its last character", good[:-1]),
        ("twice", good + good),
        ("a line break after it", f"{good}\n"),
        ("a NUL after it", f"{good}\0"),
        ("a homoglyph in it", good + "\u0435"),
    )
    if "maxLength" in node:
        yield "the longest", good + "x" * (node["maxLength"] - len(good))
        yield "one too long", good + "x" * (node["maxLength"] - len(good) + 1)


def _numbers(node: crd_fields.Schema) -> Iterator[tuple[str, Any]]:
    yield from _ODD_NUMBERS.items()
    for word, key, step in (("least", "minimum", -1), ("most", "maximum", 1)):
        if key in node:
            yield f"the {word}", node[key]
            yield f"beyond the {word}", node[key] + step


def _lists(node: crd_fields.Schema, good: list[Any]) -> Iterator[tuple[str, Any]]:
    yield "empty", []
    yield "an item that is null", [None]
    yield "an item that is text", ["x"]
    yield "an item that is an empty object", [{}]
    yield "the same twice", [*good, *good]
    yield "too many", [*good] * (node.get("maxItems", 1000) + 1)


def _objects(node: crd_fields.Schema, good: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "empty", {}
    if "additionalProperties" in node:
        yield from _maps(node, good)
    else:
        yield "an unknown field", {**good, "surprise": True}
        yield "a field in other capitals", {**good, **{key.upper(): value for key, value in good.items()}}


def _maps(node: crd_fields.Schema, good: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    first, value = next(iter(good.items()))
    keys = {
        "an empty key": "",
        "a Unicode key": "team.example.com/ключ",
        "a key with a space": "team.example.com/a b",
        "a key with a NUL": "team.example.com/a\0",
        "a key of nothing but the prefix": "team.example.com/",
        "a key with two slashes": "team.example.com/a/b",
        "a key that looks allowed": "team.example.com.evil/a",
        "a key with a name too long": "team.example.com/" + "k" * 64,
        "a huge key": "team.example.com/" + "k" * 1000,
        "a key of the operator": "modelyard.dev/revision",
        "a key of the operator's selector": "app.kubernetes.io/instance",
        "a key of Kubernetes": "kubernetes.io/metadata.name",
        "a key of an injector": "sidecar.istio.io/inject",
        "a second good key": f"{first}2",
    }
    for word, key in keys.items():
        yield word, {**good, key: value}
    yield "a null entry", {first: None}
    yield (
        "too many entries",
        {f"{first}{number}": value for number in range(node.get("maxProperties", 64) + 1)},
    )
