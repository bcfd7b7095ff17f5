"""The one shape every model has inside the runtime, whatever library made it.

Adapters in `formats` implement `Model`; `service`, `protocols` and the OpenAPI document use nothing else.
Pure: types and what follows from them.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

# A prediction's input, rows by features: float64 when every value is a number, object when text is among them. Models
# that take documents get a one-dimensional object array of text.
Table = npt.NDArray[Any]


class Kind(enum.Enum):
    """What values a feature takes."""

    NUMBER = "number"
    TEXT = "text"
    ANY = "any"  # the artifact does not say


@dataclasses.dataclass(frozen=True, slots=True)
class Feature:
    """One column of the model's input."""

    name: str
    kind: Kind


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """The prediction: its Open Inference Protocol datatype and shape, -1 for the rows."""

    datatype: str
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """What the model takes and gives, as far as the artifact says.

    `features` is None when the artifact does not tell how many there are. `is_named` says that the names are the
    model's own (it was fitted on a DataFrame), not invented for messages.
    """

    features: tuple[Feature, ...] | None
    is_named: bool = False
    takes_documents: bool = False
    allows_missing: bool = False
    output: Output = Output("FP64", (-1,))

    @property
    def is_numeric(self) -> bool:
        """Says whether only numbers can be right."""
        if self.takes_documents:
            return False
        return self.features is None or all(feature.kind is Kind.NUMBER for feature in self.features)

    @property
    def expected(self) -> str:
        """The features in words, for error messages: their names when they are the model's own, else their number."""
        if self.features is None:
            return "the features it was fitted on"
        if not self.is_named:
            return f"{len(self.features)} feature{'s' if len(self.features) != 1 else ''}"
        names = ", ".join(feature.name for feature in self.features[:20])
        return f"{len(self.features)} features ({names}{', …' if len(self.features) > 20 else ''})"


class Model(Protocol):
    """A loaded model."""

    format: str
    signature: Signature
    versions: Mapping[str, str]
    warnings: tuple[str, ...]

    def predict(self, table: Table) -> npt.NDArray[np.generic]:
        """Gives one prediction per row; raises `errors.InvalidInput` or `errors.ModelFailed`. Blocks."""
        ...


def datatype_of(dtype: "np.dtype[np.generic]") -> str:
    """Gives the Open Inference Protocol datatype for a NumPy dtype; text and objects are BYTES."""
    if dtype.kind == "b":
        return "BOOL"
    if dtype.kind in "iu" and dtype.itemsize in (1, 2, 4, 8):
        return f"{'UINT' if dtype.kind == 'u' else 'INT'}{dtype.itemsize * 8}"
    if dtype.kind == "f" and dtype.itemsize in (2, 4, 8):
        return f"FP{dtype.itemsize * 8}"
    return "BYTES"
