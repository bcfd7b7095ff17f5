"""Samples: requests whose answers are known, which a model has to give before it gets traffic.

`loading` calls `check` before the process is ready, and `prepare` compares engines on the same requests. The answers
are those that callers get: the same decoders, the same model. Pure apart from predicting.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import recognition

DEFAULT_TOLERANCE = 1e-6
_SMALLEST = 1e-12  # what a number may differ from an expected zero, where nothing is relative
_SHOWN = 60  # characters of a value in a message


class Sample(msgspec.Struct, frozen=True):
    """One request body, and what the model must predict; as `spec.validation.samples` and the samples file have it."""

    inputs: msgspec.Raw
    expect: msgspec.Raw = msgspec.Raw(b"null")
    tolerance: float | None = None


class Placed(msgspec.Struct, frozen=True):
    """A sample and where it was written, for messages."""

    place: str
    sample: Sample


_SAMPLES = msgspec.json.Decoder(list[Sample])


def decode(text: bytes | str, place: str) -> tuple[Placed, ...]:
    """Gives the samples in a JSON list; raises `StartFailure` (SettingsInvalid) naming `place`."""
    try:
        found = _SAMPLES.decode(text)
    except msgspec.DecodeError as error:
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID,
            f'{place}: {error}; write a list of {{"inputs": …, "expect": …}}',
        ) from None
    return tuple(Placed(f"{place}[{index}]", sample) for index, sample in enumerate(found))


def request_of(placed: Placed, signature: models.Signature) -> models.Request:
    """Gives what a sample asks of the model; raises `StartFailure` (SettingsInvalid) when it doesn't fit it."""
    body = bytes(placed.sample.inputs)
    try:
        request = recognition.decode(body, signature)
    except errors.InvalidInput as error:
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID, f"{placed.place}.inputs: {error.message}"
        ) from None
    expect = _value(placed.sample.expect)
    wanted = frozenset(expect) if isinstance(expect, dict) else request.wanted
    unknown = wanted - {output.name for output in signature.outputs}
    if unknown:
        known = ", ".join(output.name for output in signature.outputs)
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID,
            f"{placed.place}.expect: the model has no output {sorted(unknown)[0]!r}; it has {known}",
        )
    return msgspec.structs.replace(request, wanted=wanted)


def check(model: models.Model, samples: Sequence[Placed]) -> None:
    """Asks the model every sample; raises `StartFailure` (SampleMismatch) at the first wrong answer."""
    for placed in samples:
        request = request_of(placed, model.signature)
        try:
            outputs = model.predict(request.inputs, request.wanted, request.parameters)
        except (errors.InvalidInput, errors.ModelFailed) as error:
            raise _mismatch(f"{placed.place}: the model gives no answer: {error.message}") from error
        for difference in differences(placed.sample, outputs, model.signature):
            raise _mismatch(f"{placed.place}: {difference}")


def differences(sample: Sample, outputs: models.Tensors, signature: models.Signature) -> Iterator[str]:
    """Gives in words every place at which the outputs are not what a sample expects."""
    expect = _value(sample.expect)
    if expect is None:
        return
    tolerance = DEFAULT_TOLERANCE if sample.tolerance is None else sample.tolerance
    by_name = expect if isinstance(expect, dict) else {_first(outputs, signature): expect}
    for name, values in by_name.items():
        for place, expected, got in _pairs(values, _plain(outputs[name]), name):
            if not _agree(expected, got, tolerance):
                yield f"{place}: expected {_shown(expected)}, got {_shown(got)}"


def _value(raw: bytes | msgspec.Raw) -> Any:
    return msgspec.json.decode(raw)


def _first(outputs: models.Tensors, signature: models.Signature) -> str:
    """Gives the output that a bare list speaks of: the prediction, or a tensor model's first."""
    if models.PREDICTION in outputs:
        return models.PREDICTION
    return next(output.name for output in signature.outputs if output.name in outputs)


def _plain(array: npt.NDArray[Any]) -> Any:
    return np.asarray(array).tolist()


def _pairs(expected: Any, got: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Gives (place, expected, got) for every value; lists of different length differ as a whole."""
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from _pairs(one, other, f"{place}[{index}]")
    else:
        yield place, expected, got


def _agree(expected: Any, got: Any, tolerance: float) -> bool:
    if expected is None:
        return got is None or (isinstance(got, float) and math.isnan(got))
    if _is_number(expected) and _is_number(got):
        return bool(math.isclose(got, expected, rel_tol=tolerance, abs_tol=_SMALLEST))
    return bool(type(expected) is type(got) and expected == got)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = f"{len(value)} values" if isinstance(value, list) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _mismatch(message: str) -> errors.StartFailure:
    return errors.StartFailure(
        errors.Reason.SAMPLE_MISMATCH,
        f"{message}; if the new answer is right, change the sample, otherwise publish the right model again",
    )
