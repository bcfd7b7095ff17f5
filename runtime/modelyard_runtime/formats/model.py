"""The one shape every model has inside the runtime, whatever library made it: named arrays in, named arrays out.

Adapters in `formats` implement `Model`; `service`, `protocols` and the OpenAPI document use nothing else.
Pure: types and what follows from them.

Two families share the shape. A model that takes a **table** (scikit-learn, boosting) has one input, called `TABLE`:
rows by features. A model that takes **tensors** (ONNX, PyTorch, Keras) has the inputs its artifact names.
"""

import enum
import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from modelyard_runtime.formats.pickles import rule as pickle_rules

# The name of the one input of a model that takes a table: a two-dimensional array, rows by features, float64 when every
# value is a number, object when text is among them. Models that take documents get a one-dimensional object array.
TABLE = "X"
# The output that answers the caller's question, and the one a classifier can give besides.
PREDICTION = "predict"
PROBABILITY = "predict_proba"

Table = npt.NDArray[Any]
Tensors = Mapping[str, npt.NDArray[Any]]
Scalar = str | int | float | bool
NO_PARAMETERS: Mapping[str, Scalar] = MappingProxyType({})


class Kind(enum.Enum):
    """What values a feature takes."""

    NUMBER = "number"
    TEXT = "text"
    ANY = "any"  # the artifact does not say


class Feature(msgspec.Struct, frozen=True):
    """One column of a table; `low` and `high` bound what the training data held, where the artifact says so."""

    name: str
    kind: Kind
    low: float | None = None
    high: float | None = None


class TensorSpec(msgspec.Struct, frozen=True):
    """One input or output: its Open Inference Protocol datatype and shape, -1 where the size varies."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Signature(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What the model takes and gives, as far as the artifact says.

    `inputs` names the tensors a model takes; a caller may leave out those in `optional`, and the model fills them in
    (with zeros, or with noise). It is empty for a model that takes a table, which `features` describes: None when the
    artifact does not tell how many there are. `is_named` says that the names are the model's own (it was fitted on a
    DataFrame), not invented for messages. `outputs` are given whenever the caller names none, save those in
    `on_request`. `classes` are the labels behind the columns of `PROBABILITY`. `parameters` are the request parameters
    the model heeds, with their meaning. `is_row_wise` says that row i of every output depends on row i of the inputs
    alone, so that requests may share one call.
    """

    features: tuple[Feature, ...] | None = None
    is_named: bool = False
    takes_documents: bool = False
    allows_missing: bool = False
    inputs: tuple[TensorSpec, ...] = ()
    optional: frozenset[str] = frozenset()
    outputs: tuple[TensorSpec, ...] = (TensorSpec(PREDICTION, "FP64", (-1,)),)
    on_request: frozenset[str] = frozenset()
    classes: tuple[Scalar, ...] | None = None
    parameters: Mapping[str, str] = MappingProxyType({})
    is_row_wise: bool = True

    @property
    def takes_table(self) -> bool:
        """Says whether the model takes rows of features and not named tensors."""
        return not self.inputs

    @functools.cached_property
    def is_numeric(self) -> bool:
        """Says whether the model takes a table in which only numbers can be right."""
        if self.takes_documents or self.inputs:
            return False
        return self.features is None or all(feature.kind is Kind.NUMBER for feature in self.features)

    @functools.cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features, empty when the artifact doesn't tell how many there are."""
        return tuple(feature.name for feature in self.features or ())

    @functools.cached_property
    def default_outputs(self) -> frozenset[str]:
        """The outputs a caller gets who names none."""
        return frozenset(output.name for output in self.outputs) - self.on_request

    def place(self, row: int, column: int) -> str:
        """Gives what to call a value of a table: its row, counted from 0, and its feature, by name if it has one."""
        feature: int | str = column
        if self.is_named and self.features is not None and column < len(self.features):
            feature = self.features[column].name
        return f"{TABLE}, row {row}, feature {feature!r}"

    @property
    def expected(self) -> str:
        """The inputs in words, for error messages: names when they are the model's own, else how many features."""
        if self.inputs:
            return ", ".join(
                f"{one.name} ({one.datatype} {list(one.shape)}{', optional' if one.name in self.optional else ''})"
                for one in self.inputs
            )
        if self.features is None:
            return "the features it was fitted on"
        if not self.is_named:
            return f"{len(self.features)} feature{'s' if len(self.features) != 1 else ''}"
        names = ", ".join(feature.name for feature in self.features[:20])
        return f"{len(self.features)} features ({names}{', …' if len(self.features) > 20 else ''})"


class LoadOptions(msgspec.Struct, frozen=True):
    """What an adapter may do while it loads.

    Run code that the artifact brings along; use that many threads; refuse what another version of its library wrote;
    unpickle what the administrator's rule lets through, which may depend on whether the spec names the digest.
    """

    allows_code: bool = False
    threads: int = 1
    refuses_other_versions: bool = False
    pickle_rule: pickle_rules.Rule = pickle_rules.Rule.RESTRICTED
    is_pinned: bool = False


DEFAULT_OPTIONS = LoadOptions()


class Request(msgspec.Struct, frozen=True):
    """What one caller asks of the model: `rows` is the common length of the inputs' first axis.

    `deadline` is the moment, in seconds of `time.monotonic`, after which nobody wants the answer any more.
    """

    inputs: Tensors
    rows: int
    wanted: frozenset[str]
    parameters: Mapping[str, Scalar] = NO_PARAMETERS
    deadline: float | None = None


class Model(Protocol):
    """A loaded model; `engine` names the library that computes, which may not be the one that wrote the artifact."""

    format: str
    engine: str
    signature: Signature
    versions: Mapping[str, str]
    warnings: tuple[str, ...]

    def predict(self, inputs: Tensors, wanted: frozenset[str], parameters: Mapping[str, Scalar]) -> Tensors:
        """Gives the wanted outputs; raises `errors.InvalidInput` or `errors.ModelFailed`. Blocks."""
        ...


def datatype_of(dtype: "np.dtype[Any]") -> str:
    """Gives the Open Inference Protocol datatype for a NumPy dtype; text and objects are BYTES."""
    if dtype.kind == "b":
        return "BOOL"
    if dtype.kind in "iu" and dtype.itemsize in (1, 2, 4, 8):
        return f"{'UINT' if dtype.kind == 'u' else 'INT'}{dtype.itemsize * 8}"
    if dtype.kind == "f" and dtype.itemsize in (2, 4, 8):
        return f"FP{dtype.itemsize * 8}"
    return "BYTES"


def table_request(table: Table, wanted: frozenset[str]) -> Request:
    """Gives the request of a caller who sent a table."""
    return Request({TABLE: table}, table.shape[0], wanted)
