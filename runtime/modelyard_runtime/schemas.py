"""The JSON bodies of the protocols as types: what is decoded, strictly, and nothing more.

Used by `protocols`. Pure. Fields that are not listed are ignored, as the Open Inference Protocol asks for parameters.
"""

from typing import Annotated, Any

import msgspec

Dimension = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class PredictRows(msgspec.Struct):
    """`POST /predict`, the usual form: rows of numbers."""

    X: list[list[float]]


class PredictColumn(msgspec.Struct):
    """`POST /predict` for a model of one feature: a flat list, one number per row."""

    X: list[float]


class PredictAny(msgspec.Struct):
    """`POST /predict` in every other form: text, missing values, rows as objects, or a mistake to be named."""

    X: Any


class InferInput(msgspec.Struct):
    """One input tensor of the Open Inference Protocol; `data` is decoded once the datatype is known."""

    name: str
    shape: list[Dimension]
    datatype: str
    data: msgspec.Raw
    parameters: Any = None


class InferOutput(msgspec.Struct):
    """One output tensor the caller asks for."""

    name: str
    parameters: Any = None


class InferRequest(msgspec.Struct):
    """`POST /v2/models/{model}/infer`."""

    inputs: list[InferInput]
    id: str | None = None
    outputs: list[InferOutput] | None = None
    parameters: Any = None
