"""The JSON bodies of the protocols as types: what is decoded, strictly, and nothing more.

Used by `protocols`. Pure. Fields that are not listed are ignored, as the Open Inference Protocol asks for parameters.
"""

from typing import Annotated, Any, Literal

import msgspec

Dimension = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


# What `InferInput.data` is when there are none: in binary they follow the JSON.
NO_DATA = msgspec.Raw(b"")


class PredictAny(msgspec.Struct):
    """`POST /predict` that is not rows of numbers: text, missing values, rows as objects, or a mistake to be named."""

    X: Any
    parameters: Any = None


class InferInput(msgspec.Struct):
    """One input tensor of the Open Inference Protocol.

    `data` are decoded once the datatype is known.
    """

    name: str
    shape: list[Dimension]
    datatype: str
    data: msgspec.Raw = NO_DATA
    parameters: dict[str, Any] | None = None


class FlatInput(msgspec.Struct, forbid_unknown_fields=True):
    """The usual input tensor, numbers in one list: what is read in one pass over the body."""

    name: str
    shape: list[Dimension]
    datatype: Literal["FP64", "FP32"]
    data: list[float]


class InferOutput(msgspec.Struct):
    """One output tensor the caller asks for."""

    name: str
    parameters: dict[str, Any] | None = None


class FlatRequest(msgspec.Struct):
    """An `InferRequest` whose inputs are all of the usual kind."""

    inputs: list[FlatInput]
    id: str | None = None
    outputs: list[InferOutput] | None = None
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct):
    """`POST /v2/models/{model}/infer`."""

    inputs: list[InferInput]
    id: str | None = None
    outputs: list[InferOutput] | None = None
    parameters: dict[str, Any] | None = None
