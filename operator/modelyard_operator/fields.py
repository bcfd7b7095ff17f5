"""The building blocks of the API types: the base of all structs, descriptions with rules, types used more than once.

Used by `spec`, `podspec` and `api`; `crd` reads what is attached here. Pure.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from modelyard_operator import key_rules, rules


def doc(text: str, *checks: rules.Rule, **limits: Any) -> Meta:
    """Give the description of a field together with its rules and limits."""
    # An outer `extra` replaces an inner one, so there is none where there is nothing to say.
    return Meta(description=text, extra={"rules": checks} if checks else None, **limits)


class Type(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Frozen, camelCase on the wire, and silent about defaults: an absent field and its default are one intent."""


Quantity = Annotated[
    int | str,
    Meta(
        extra={"rules": rules.QUANTITY},
        extra_json_schema={"x-kubernetes-int-or-string": True, "maxLength": 24},
    ),
]
Quantities = Annotated[
    dict[str, Quantity],
    Meta(extra={"rules": key_rules.DEVICE_NAMES}, extra_json_schema={"maxProperties": 8}),
]
LabelValue = Annotated[str, Meta(max_length=63, extra={"rules": key_rules.LABEL_VALUE})]
Labels = Annotated[
    dict[str, LabelValue],
    Meta(extra={"rules": (*rules.OWN_KEYS, *key_rules.KEYS)}, extra_json_schema={"maxProperties": 32}),
]
Annotations = Annotated[
    dict[str, Annotated[str, Meta(max_length=4096)]],
    Meta(extra={"rules": (*rules.OWN_KEYS, *key_rules.KEYS)}, extra_json_schema={"maxProperties": 32}),
]
