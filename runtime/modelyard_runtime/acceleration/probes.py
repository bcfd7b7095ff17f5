"""Rows made up for the gate: what covers the training range, and what breaks engines that round.

Called by `preparation`. The same estimator always gets the same rows.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard_runtime.acceleration import conversion, ranges
from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.formats import model as models

Array = npt.NDArray[Any]
_MAX_SPLITS = 1500
_SMALLEST_SPLIT = 1e-30
_ONE_AT_A_TIME = 64  # features
UNKNOWN_TEXT = "modelyard: a text nobody was trained on"
# Powers of ten and what people put into tables: identifiers above 2^24 and up to 2^53, times in seconds and millis.
_MAGNITUDES = (
    1e-9, 1e-3, 0.5, 1.0, 7.0, 1e3, 1e5, 2.0**24 + 1, 1e9 + 7, 1.7e9 + 0.25, 1.7e12 + 123.0, 2.0**53 - 1, 1e15, 1e20,
    1e30,
)  # fmt: skip


def numbers(estimator: Any, signature: models.Signature, limit: float) -> Array:
    """Gives rows of numbers up to a magnitude."""
    names = [feature.name for feature in signature.features or ()]
    covered = ranges.read(estimator, len(names), names)
    generator = np.random.default_rng(20)
    width = len(names)
    centre, scale = covered.centre, covered.scale
    rows = [
        np.zeros((1, width)),
        centre[None, :],
        *(
            centre + scale * spread * generator.standard_normal((128, width))
            for spread in (0.1, 1.0, 3.0, 10.0)
        ),
        *(
            np.round(centre + scale * spread * generator.standard_normal((32, width)))
            for spread in (1.0, 3.0)
        ),
        # What a range that was guessed too small or too large would miss.
        *(generator.standard_normal((16, width)) * size for size in (1e-3, 1.0, 1e2, 1e4)),
        _magnitudes(centre, generator),
        _at_splits(covered, generator),
    ]
    table: Array = np.clip(np.vstack(rows), -limit, limit)
    return table


def _magnitudes(centre: Array, generator: np.random.Generator) -> Array:
    width = len(centre)
    rows = []
    for size in _MAGNITUDES:
        for sign in (1.0, -1.0):
            whole = np.full(width, sign * size)
            rows += [whole, whole * generator.random(width)]
            for column in range(min(width, _ONE_AT_A_TIME)) if size <= 1e15 else ():
                one = centre.copy()
                one[column] = sign * size
                rows.append(one)
    return np.array(rows)


def _at_splits(covered: ranges.Range, generator: np.random.Generator) -> Array:
    """Gives rows at, just below and just above what trees split at, in 64 and in 32 bits."""
    places = [
        (column, split)
        for column, values in enumerate(covered.splits)
        for split in values.tolist()
        # LightGBM splits at 1e-35 where it means zero, and looks there no further than its text form reaches.
        if split == 0.0 or abs(split) > _SMALLEST_SPLIT
    ]
    if len(places) > _MAX_SPLITS:
        chosen = generator.choice(len(places), _MAX_SPLITS, replace=False)
        places = [places[index] for index in chosen]
    width = len(covered.centre)
    rows = []
    for column, split in places:
        rounded = np.float32(split)
        for value in (
            split, np.nextafter(split, np.inf), np.nextafter(split, -np.inf), float(rounded),
            float(np.nextafter(rounded, np.float32(np.inf))), float(np.nextafter(rounded, np.float32(-np.inf))),
        ):  # fmt: skip
            row = covered.centre + covered.scale * generator.standard_normal(width)
            row[column] = value
            rows.append(row)
    return np.array(rows).reshape(-1, width)


def mixed(
    estimator: Any, signature: models.Signature, columns: tuple[descriptions.Column, ...], limit: float
) -> Array:
    """Gives rows of numbers and text: each known category among numbers as `numbers` gives them."""
    generator = np.random.default_rng(21)
    table = numbers(estimator, signature, limit).astype(np.object_)
    for column in columns:
        if column.is_text:
            values = conversion.categories(estimator, signature, column.index) or ("",)
            table[:, column.index] = np.array(values, dtype=np.object_)[
                generator.integers(0, len(values), len(table))
            ]
            for row, value in zip(range(len(table)), values, strict=False):
                table[row, column.index] = value
    read = {column.index for column in columns}
    for index in set(range(table.shape[1])) - read:
        table[:, index] = "anything"
    return table


def with_missing(table: Array, columns: list[int]) -> Array:
    """Gives rows in which some values of these columns are missing: each alone, and any number together."""
    generator = np.random.default_rng(22)
    rows = []
    for row, column in zip(range(4 * len(columns)), columns * 4, strict=True):
        one = table[row % len(table)].copy()
        one[column] = np.nan
        rows.append(one)
    for row in range(64):
        many = table[row % len(table)].copy()
        for column in columns:
            if generator.random() < 0.4:
                many[column] = np.nan
        rows.append(many)
    return np.array(rows, dtype=table.dtype).reshape(-1, table.shape[1])
