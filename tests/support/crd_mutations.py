"""Specs with one thing wrong or odd: every field of the CRD's schema with every value of `crd_values`, and pairs.

Pure and without chance: the same schema gives the same specs. Read by the misoperation tests, which ask a real API
server and the operator what becomes of them.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.support import crd_fields, crd_semantics, crd_values


class Mutation(msgspec.Struct, frozen=True):
    """One spec that differs from a good one in one place.

    Attributes:
        field: where, as the API server writes it: spec.pod.tolerations[0].key.
        what: what is written there, in words.
        spec: the whole of it.
        ground: the good spec it was made from.
    """

    field: str
    what: str
    spec: dict[str, Any]
    ground: dict[str, Any]

    @property
    def sentence(self) -> str:
        """The name of the case."""
        return f"{self.field}: {self.what}"


def mutations() -> tuple[Mutation, ...]:
    """Give every mutation once."""
    found: dict[str, Mutation] = {}
    for mutation in (*_single(), *_semantic()):
        text = json.dumps(mutation.spec, sort_keys=True)
        if mutation.spec != mutation.ground:
            found.setdefault(text, mutation)
    return tuple(found.values())


def _single() -> Iterator[Mutation]:
    """Give each field with each value, in a spec that sets everything else."""
    for field in crd_fields.fields():
        chosen = "autoscaling" if field.path[1] == "autoscaling" else "replicas"
        ground = crd_fields.full(chosen)
        if not isinstance(field.path[-1], int):
            yield Mutation(field.name, "absent", crd_fields.without(ground, field.path), ground)
        good = crd_fields.value_at(ground, field.path)
        for what, value in crd_values.values(field, good):
            yield Mutation(field.name, what, crd_fields.with_value(ground, field.path, value), ground)
        if field.path[1:] not in {("replicas",), ("autoscaling",)}:
            small = crd_fields.small()
            yield Mutation(field.name, "alone", crd_fields.with_value(small, field.path, good), small)


def _semantic() -> Iterator[Mutation]:
    for sentence, (field, spec) in crd_semantics.CASES.items():
        yield Mutation(field, sentence, spec, crd_fields.small())
