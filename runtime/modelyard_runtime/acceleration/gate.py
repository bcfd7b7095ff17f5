"""The parity gate: may this engine answer in place of the original?

Called by `preparation`. Pure: arrays in, words out. Labels must be identical; numbers may differ by a millionth of
their size, which is the room that another order of additions needs. It must never be loosened to let an engine pass.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
RELATIVE_TOLERANCE = 1e-6
SMALLEST = 1e-12  # what a number may differ from zero, where nothing is relative


def difference(expected: Mapping[str, Array], got: Mapping[str, Array]) -> str | None:
    """Gives in words the first difference between the original's outputs and an engine's, None if there is none."""
    for name, wants in expected.items():
        has = got[name]
        if has.shape != wants.shape:
            return f"{name} has the shape {list(has.shape)} instead of {list(wants.shape)}"
        if has.dtype != wants.dtype:
            return f"{name} has the type {has.dtype} instead of {wants.dtype}"
        wrong = ~_same(wants, has)
        if wrong.any():
            place = tuple(int(index) for index in np.argwhere(wrong)[0])
            count = int(np.count_nonzero(wrong.reshape(len(wrong), -1).any(axis=1)))
            return (
                f"{name} differs on {count} of {len(wrong)} rows, first on row {place[0]}: "
                f"{wants[place]} became {has[place]}"
            )
    return None


def _same(expected: Array, got: Array) -> Array:
    if expected.dtype.kind != "f":
        same: Array = np.asarray(expected == got)
        return same
    wants, has = expected.astype(np.float64), got.astype(np.float64)
    with np.errstate(all="ignore"):
        near = np.abs(has - wants) <= RELATIVE_TOLERANCE * np.abs(wants) + _floor(expected)
    # A difference of infinities is no number; equal ones are equal.
    both_missing: Array = np.isnan(wants) & np.isnan(has)
    same_numbers: Array = both_missing | (wants == has) | (near & np.isfinite(wants))
    return same_numbers


def _floor(expected: Array) -> float:
    """Gives what any number may differ by: next to nothing, or a millionth of the usual size of 32-bit numbers.

    A sum of 32-bit numbers is as exact as its summands, and depends on their order by that much: the original's own
    answer is no more certain than this.
    """
    if expected.dtype.itemsize > 4:
        return SMALLEST
    finite = np.abs(expected[np.isfinite(expected)].astype(np.float64))
    return max(RELATIVE_TOLERANCE * float(np.median(finite)) if finite.size else 0.0, SMALLEST)
