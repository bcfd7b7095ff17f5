"""What all JSON bodies have in common: UTF-8, well-formed, not nested without end.

Called by each protocol's decoder. Pure. It turns every fault of a body into `InvalidInput` in words for the caller.
"""

from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from modelyard_runtime import errors

_T = TypeVar("_T")
_DUMP = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def decode(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """Gives the decoded body; raises `InvalidInput`, or `msgspec.ValidationError` for the caller to explain."""
    try:
        # The decoder does not look into strings that it skips; a body that is not UTF-8 is not JSON.
        if not body.isascii():
            body.decode("utf-8")
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        raise errors.InvalidInput(_malformed(body, error)) from None
    except UnicodeDecodeError as error:
        raise errors.InvalidInput(f"the body is not UTF-8 (byte {error.start}); send JSON in UTF-8") from None
    except RecursionError:
        raise errors.InvalidInput("the body is nested too deeply; rows are lists of plain values") from None


def as_sentence(error: msgspec.ValidationError) -> str:
    """Gives a type error of the decoder as a sentence that starts with the place: `$.inputs[0].shape: expected …`."""
    problem, _, place = str(error).partition(" - at ")
    place = place.strip("`")
    lowered = problem[:1].lower() + problem[1:]
    return f"{place}: {lowered}" if place else f"the body: {lowered}"


def encode(value: object) -> bytes:
    """Gives JSON bytes; NumPy arrays are written without a detour, NaN and infinity become null."""
    return orjson.dumps(value, default=str, option=_DUMP)


def jsonable(predictions: npt.NDArray[np.generic]) -> object:
    """Gives predictions in a form `encode` writes with their own types: numbers, booleans, text."""
    if predictions.dtype.kind in "biuf" and predictions.dtype.itemsize <= 8:
        return np.ascontiguousarray(predictions)
    return predictions.tolist()


def _malformed(body: bytes, error: msgspec.DecodeError) -> str:
    if not body.strip():
        return "the body is empty; send a JSON object"
    for literal in (b"NaN", b"Infinity"):
        if literal in body:
            return f"the body is not valid JSON: JSON has no {literal.decode()}; send finite numbers"
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return "the body starts with a byte order mark; send plain UTF-8"
    detail = str(error).removeprefix("JSON is malformed: ")
    return f"the body is not valid JSON: {detail[:1].lower() + detail[1:]}"
