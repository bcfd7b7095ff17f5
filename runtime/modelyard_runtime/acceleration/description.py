"""What `prepare` leaves behind for `serve`: one JSON value that says which engine answers, and how.

Written by `prepare` through `acceleration.folder`, read by `loading`. It holds the whole signature, so that `serve`
knows the model without its library. Pure: bytes ↔ values.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard_runtime.formats import model as models

FILE_NAME = "description.json"


class Acceleration(msgspec.Struct, frozen=True):
    """Which engine answers, why, and on how many rows it was compared with the original; for metadata."""

    engine: str
    reason: str
    checked_rows: int = 0


class Answer(msgspec.Struct, frozen=True):
    """One output as the original gives it: NumPy dtype, sizes after the first, and where the engine has it.

    `source` is the name of an output of the graph, or one of `trees.SOURCES`.
    """

    dtype: str
    tail: tuple[int, ...]
    source: str


class Column(msgspec.Struct, frozen=True):
    """One column that the graph takes as an input of its own.

    `known` are the only values the original takes, None when it takes any text. `is_certain` says that the protocols
    let nothing but numbers through; where they don't, the column may hold anything.
    """

    index: int
    name: str
    is_text: bool
    known: tuple[str, ...] | None = None
    is_certain: bool = True


class Trees(msgspec.Struct, frozen=True):
    """A file for Treelite: what its trees are given and how its numbers become labels.

    scikit-learn's trees see their input rounded to 32 bits (`rounds`); gradient boosting takes the second of two
    classes when both are as likely (`takes_second`), everything else the first.
    """

    file: str
    rounds: bool
    takes_second: bool
    input_type: str = "float64"


class Domain(msgspec.Struct, frozen=True):
    """The inputs the engine was proven on; whatever lies outside is answered by the original.

    `limit` bounds the magnitude of numbers. `missing` and `infinite` hold, per feature, where in `words` the original's
    are when it refuses such a value; the first of them are none: it takes the value.
    """

    limit: float
    words: tuple[str, ...]
    missing: tuple[int, ...]
    infinite: tuple[int, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How to answer: a graph for ONNX Runtime, trees for Treelite, or trees on what a graph makes of the input.

    `columns` is empty when the graph takes the table as one matrix; `precision` is the NumPy type of its numbers.
    """

    answers: Mapping[str, Answer]
    domain: Domain | None = None
    graphs: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    precision: str = "float64"
    trees: Trees | None = None


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a prepared model; `plan` is None when the original serves.

    It belongs to the artifact with `digest`, read as `format` by the runtime of `version`. `platform` is what the model
    says its format is: a folder of MLflow may hold one of scikit-learn.
    """

    version: str
    digest: str
    format: str
    platform: str
    acceleration: Acceleration
    signature: models.Signature | None = None
    versions: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()
    plan: Plan | None = None


def encode(description: Description) -> bytes:
    """Gives the description as JSON."""
    return msgspec.json.encode(description, enc_hook=_encode_mapping)


def decode(content: bytes) -> Description | None:
    """Gives the description, or None when the bytes are not one."""
    try:
        return msgspec.json.decode(content, type=Description)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def unfit(description: Description, version: str, digest: str, model_format: str) -> str | None:
    """Gives in words why a description is not about this artifact, read this way by this runtime; None if it is."""
    for name, has, wants in (
        ("version of the runtime", description.version, version),
        ("digest", description.digest, digest),
        ("format", description.format, model_format),
    ):
        if has != wants:
            return f"it was made for another {name}: {has}, not {wants}"
    return None


def _encode_mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")
