"""Forests and boosting on Treelite: the numbers of a forest → the outputs that the original estimator names.

Called by `acceleration.model`. It imports nothing of the library that made the trees.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.acceleration import gtil

Array = npt.NDArray[Any]
LABELS = "labels"  # of the likeliest class
VALUES = "values"  # after the link function: probabilities of each class, or the prediction of a regressor
RAW = "raw"  # before the link function
SOURCES = (LABELS, VALUES, RAW)


class TreeEngine:
    """The trees of one model."""

    def __init__(self, folder: Path, trees: descriptions.Trees, classes: Array | None, threads: int) -> None:
        self._forest = gtil.Forest(folder / trees.file, trees.input_type, threads)
        self._rounds = trees.rounds
        self._takes_second = trees.takes_second
        self._classes = classes

    def run(self, table: Array, sources: frozenset[str]) -> dict[str, Array]:
        """Gives the outputs called for, by their source."""
        if self._rounds:
            table = table.astype(np.float32)
        found: dict[str, Array] = {}
        if RAW in sources:
            found[RAW] = self._forest.predict(table, "raw").reshape(table.shape[0], -1)
        if VALUES in sources or LABELS in sources:
            found[VALUES] = self._values(table)
        if LABELS in sources:
            found[LABELS] = self._labels(found[VALUES], self._classes)
        return found

    def _values(self, table: Array) -> Array:
        values = self._forest.predict(table).reshape(table.shape[0], -1)
        if self._classes is None or values.shape[1] != 1:
            return values
        # One number for two classes is the probability of the second.
        return np.hstack((1.0 - values, values))

    def _labels(self, values: Array, classes: Array | None) -> Array:
        if classes is None:
            raise ValueError("labels of a model without classes")
        if self._takes_second and values.shape[1] == 2:
            chosen: Array = classes.take((values[:, 1] >= values[:, 0]).astype(np.intp))
        else:
            chosen = classes.take(values.argmax(axis=1))
        return chosen
