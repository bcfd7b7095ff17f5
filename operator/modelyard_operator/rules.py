"""Rules about a ModelDeployment's spec that types can't express, each once, in both of its languages.

A rule is a CEL expression (the API server refuses the resource at once, with our message) beside the same predicate
in Python (`api.parse` applies it to what an older or newer CRD let through). `api` attaches rules to fields and
structs, `crd` writes them as x-kubernetes-validations, tests/integration holds the two languages together. Pure.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import inspect

from modelyard_operator import quantities


class Rule(msgspec.Struct, frozen=True):
    """One requirement: `cel` over `self`, `holds` over the parsed value, and what to write instead."""

    cel: str
    message: str
    holds: Callable[[Any], bool]


def matches(pattern: str, message: str) -> Rule:
    """Give the rule that a string matches a regular expression that RE2 (in CEL) and Python read alike."""
    expression = compiled(pattern)
    return Rule(
        f"self.matches({quote(pattern)})", message, lambda value: expression.search(value) is not None
    )


def lacks(pattern: str, message: str) -> Rule:
    """Give the rule that a regular expression is found nowhere in a string."""
    expression = compiled(pattern)
    return Rule(f"!self.matches({quote(pattern)})", message, lambda value: expression.search(value) is None)


def quote(pattern: str) -> str:
    """Give a regular expression as a literal of CEL."""
    escaped = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def compiled(pattern: str) -> re.Pattern[str]:
    """Give a regular expression for Python as RE2 reads it: there `$` never stands before a last line break."""
    return re.compile(pattern.replace("$", r"\Z"))


NAME = (
    matches(
        r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
        "must start with a lower-case letter and hold only lower-case letters, digits and '-', because the Service gets"
        " the same name",
    ),
)
NAME_MAX = 63

DIGEST = (
    matches(
        r"^sha256:[0-9a-f]{64}$",
        "must be sha256: and the 64 lower-case hexadecimal digits that sha256sum prints for the file",
    ),
)

MODEL_NAME = (
    matches(
        r"^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$",
        "must hold only letters, digits, '-', '.' and '_' and start and end with a letter or digit, because clients"
        " write it into URLs",
    ),
)

SECRET_NAME = (
    matches(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "must be the name of a Secret in the same namespace: lower-case letters, digits, '-' and '.', each part between"
        " dots starting and ending with a letter or digit",
    ),
)

SECRET_KEY = (
    matches(
        r"^[-._a-zA-Z0-9]+$",
        "must be a key of the Secret: letters, digits, '-', '.' and '_'",
    ),
)

CLASS_NAME = (
    matches(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "must be the name of a runtime class: lower-case letters, digits and '-'",
    ),
)

QUANTITY = (
    Rule(
        "type(self) == int ? self >= 0 : isQuantity(self) && quantity(self).compareTo(quantity('0')) >= 0",
        "must be a quantity of zero or more, for example 500m, 2, 512Mi or 1Gi",
        lambda value: (number := quantities.parse(value)) is not None and number >= 0,
    ),
)


def _is_within(request: Decimal | None, limit: Decimal | None) -> bool:
    """Says whether a request is no greater; what is no quantity is the business of another rule."""
    return request is None or limit is None or request <= limit


REQUESTS_WITHIN_LIMITS = (
    Rule(
        "!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) ||"
        " !isQuantity(string(self.requests[k])) || !isQuantity(string(self.limits[k])) ||"
        " quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) <= 0)",
        "requests must not be greater than limits",
        lambda resources: all(
            _is_within(quantities.parse(request), quantities.parse(resources.limits[name]))
            for name, request in resources.requests.items()
            if name in resources.limits
        ),
    ),
)

ONE_OWNER_OF_REPLICAS = (
    Rule(
        "!(has(self.replicas) && has(self.autoscaling))",
        "set either replicas or autoscaling, not both: with autoscaling the number of replicas lies between"
        " minReplicas and maxReplicas",
        lambda spec: spec.replicas is None or spec.autoscaling is None,
    ),
)

AUTOSCALING = (
    Rule(
        "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
        "minReplicas must not be greater than maxReplicas",
        lambda autoscaling: autoscaling.min_replicas <= autoscaling.max_replicas,
    ),
)

MIN_REPLICAS = (
    Rule(
        "self >= 1",
        "must be 1 or more: an autoscaler on CPU can't start from nothing; set spec.replicas to 0 to stop a model",
        lambda value: value >= 1,
    ),
)

OWN_KEYS = (
    Rule(
        "self.all(k, !k.startsWith('modelyard.dev/') && !k.startsWith('app.kubernetes.io/'))",
        "must not hold keys under modelyard.dev/ or app.kubernetes.io/: the operator sets those",
        lambda keys: not any(key.startswith(("modelyard.dev/", "app.kubernetes.io/")) for key in keys),
    ),
)

TOLERATION = (
    Rule(
        "has(self.key) && size(self.key) > 0",
        "must name the key of one taint; tolerating everything is not allowed",
        lambda toleration: bool(toleration.key),
    ),
    Rule(
        "!has(self.key) || !self.key.startsWith('node-role.kubernetes.io/')",
        "must not tolerate the taints of control-plane nodes",
        lambda toleration: not toleration.key.startswith("node-role.kubernetes.io/"),
    ),
)


Checker = Callable[[Any, str], Iterable[tuple[str, Rule]]]


def checker(type_info: inspect.Type) -> Checker | None:
    """Give what lists the (field path, rule) that a parsed value breaks, from the value and its path.

    None where a type has no rule, in itself or further down: few fields have, and each spec is checked at each visit.
    `type_info` comes from msgspec.inspect.
    """
    if isinstance(type_info, inspect.Metadata):
        return _of_rules((type_info.extra or {}).get("rules", ()), checker(type_info.type))
    if isinstance(type_info, inspect.UnionType):
        inner = optional(type_info)
        below = checker(inner) if inner is not None else None
        return below and (lambda value, path: () if value is None else below(value, path))
    if isinstance(type_info, inspect.StructType):
        parts = [(field.name, field.encode_name, checker(field.type)) for field in type_info.fields]
        return _of_fields([(name, shown, below) for name, shown, below in parts if below])
    if isinstance(type_info, inspect.ListType):
        return _of_items(enumerate, checker(type_info.item_type))
    if isinstance(type_info, inspect.DictType):
        return _of_items(dict.items, checker(type_info.value_type))
    return None


def _of_rules(rules: Sequence[Rule], below: Checker | None) -> Checker | None:
    """Give the checker of a value's own rules and of what lies below it."""

    def check(value: Any, path: str) -> Iterator[tuple[str, Rule]]:
        for rule in rules:
            if not rule.holds(value):
                yield path, rule
        if below:
            yield from below(value, path)

    return check if rules else below


def _of_fields(parts: Sequence[tuple[str, str, Checker]]) -> Checker | None:
    """Give the checker of a struct: (attribute, name in a path, checker) of each field that has rules."""

    def check(value: Any, path: str) -> Iterator[tuple[str, Rule]]:
        for name, shown, below in parts:
            yield from below(getattr(value, name), f"{path}.{shown}")

    return check if parts else None


def _of_items(pairs: Callable[[Any], Iterable[tuple[Any, Any]]], below: Checker | None) -> Checker | None:
    """Give the checker of a list or dict, which `pairs` turns into (index or key, item)."""
    if below is None:
        return None
    return lambda value, path: (
        found for place, item in pairs(value) for found in below(item, f"{path}[{place}]")
    )


def optional(type_info: inspect.UnionType) -> inspect.Type | None:
    """Give X of `X | None`; None for a true union, whose members carry no rules."""
    members = [member for member in type_info.types if not isinstance(member, inspect.NoneType)]
    return members[0] if len(members) == 1 else None
