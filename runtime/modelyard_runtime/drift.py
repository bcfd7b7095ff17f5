"""What callers send, in figures: rows, mean, variance, missing and out-of-range values of each feature.

`service` shows it the tables the model gets; `metrics` reads the figures when Prometheus asks. Watching must cost next
to nothing, so it looks at one table in fifty milliseconds and lets the rest pass: the figures are of a sample, and
whoever compares them with the training data compares distributions, not totals. It keeps sums, never a value.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from modelyard_runtime.formats import model as models

MAX_FEATURES = 100  # each is five series of metrics in every pod
MAX_ROWS = 1000  # of one table
_EVERY_SECONDS = 0.05
_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """One feature's figures over the sample; mean and variance are of the values that are numbers and not missing.

    `out_of_range` is None where nobody knows between which values the training data lay.
    """

    feature: str
    rows: int
    missing: int
    out_of_range: int | None
    mean: float
    variance: float


class Drift:
    """The running figures of one model's features."""

    def __init__(self, signature: models.Signature, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_at = 0.0
        features = () if signature.takes_documents else (signature.features or ())
        self._features = features[:MAX_FEATURES]
        width = len(self._features)
        self._numeric = [feature.kind is models.Kind.NUMBER for feature in self._features]
        self._low = np.array([_end(feature.low, -np.inf) for feature in self._features])
        self._high = np.array([_end(feature.high, np.inf) for feature in self._features])
        self._rows = 0
        self._missing = np.zeros(width, dtype=np.int64)
        self._outside = np.zeros(width, dtype=np.int64)
        self._counted = np.zeros(width, dtype=np.int64)
        self._mean = np.zeros(width)
        self._squares = np.zeros(width)  # sums of squared differences from the mean

    def observe(self, table: models.Table) -> None:
        """Takes a table into the figures, or lets it pass when the last one was a moment ago."""
        now = self._clock()
        if now < self._next_at or not self._features:
            return
        self._next_at = now + _EVERY_SECONDS
        seen = table[:MAX_ROWS, : len(self._features)]
        if seen.ndim != 2 or seen.shape[1] != len(self._features):
            return
        values = seen if seen.dtype.kind == "f" else self._numbers(seen)
        present = ~np.isnan(values)
        self._rows += values.shape[0]
        if seen.dtype.kind == "O":
            missing = np.array([[value is None or value != value for value in row] for row in seen])  # noqa: PLR0124 - NaN
            self._missing += missing.sum(axis=0)
        else:
            self._missing += values.shape[0] - present.sum(axis=0)
        with np.errstate(invalid="ignore"):
            self._outside += ((values < self._low) | (values > self._high)).sum(axis=0)
        self._merge(values, present)

    def figures(self) -> Iterator[Figures]:
        """Gives every feature's figures; those of text have neither mean nor variance (NaN)."""
        for index, feature in enumerate(self._features):
            counted = int(self._counted[index])
            yield Figures(
                feature.name,
                self._rows,
                int(self._missing[index]),
                None if feature.low is None and feature.high is None else int(self._outside[index]),
                float(self._mean[index]) if counted else float("nan"),
                float(self._squares[index] / counted) if counted else float("nan"),
            )

    def _numbers(self, table: models.Table) -> _Floats:
        """Gives the numeric columns of a table with text, NaN in all others."""
        values = np.full(table.shape, np.nan)
        for index, is_numeric in enumerate(self._numeric):
            if is_numeric:
                values[:, index] = [np.nan if value is None else value for value in table[:, index]]
        return values

    def _merge(self, values: _Floats, present: npt.NDArray[np.bool_]) -> None:
        """Merges a table's mean and squared differences into the running ones.

        The pairwise update of T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating Formulae and a Pairwise Algorithm
        for Computing Sample Variances" (1979), which stays exact where a sum of squares would cancel.
        """
        counted = present.sum(axis=0)
        some = np.maximum(counted, 1)
        filled = np.where(present, values, 0.0)
        mean = filled.sum(axis=0) / some
        squares = np.where(present, (filled - mean) ** 2, 0.0).sum(axis=0)
        total = np.maximum(self._counted + counted, 1)
        difference = mean - self._mean
        self._squares += squares + difference**2 * self._counted * counted / total
        self._mean += difference * counted / total
        self._counted += counted


def _end(value: float | None, default: float) -> float:
    return default if value is None else value
