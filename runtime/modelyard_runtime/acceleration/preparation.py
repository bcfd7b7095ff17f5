"""One loaded model → how to serve it: tries each engine, lets the gate judge, measures whether it pays.

Called by the `prepare` command in a child process (`converting`). Nothing here may decide that a model can't be
served: at worst the original serves, and the reason says why.
"""

import contextlib
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from modelyard_runtime import errors
from modelyard_runtime.acceleration import conversion, gate, probes
from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.acceleration import model as prepared
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn_shortcuts

_log = logging.getLogger(__name__)
Array = npt.NDArray[Any]

# Beyond the first, powers and exponentials of ordinary models overflow; then the original refuses its own input.
_LIMITS = (1e30, 1e15, 1e9, 1e6)
_ALONE = 24  # rows that are asked one by one as well
_MANY = 64  # rows of the second measurement
_GAIN = 1.25  # how much faster a row must be; less is within a machine's moods
_LOSS = 1.1  # how much slower many rows may be
_WORDS = 160  # of an exception in a reason


class Original(msgspec.Struct, frozen=True):
    """The loaded model, its estimator, and what it answers on the rows made up for the gate."""

    model: models.Model
    estimator: Any
    columns: tuple[descriptions.Column, ...]
    domain: descriptions.Domain
    table: Array
    outputs: dict[str, Array]


class Unfit(Exception):  # noqa: N818 - named for what it means
    """No engine can serve this model; the text says why, for metadata."""


def prepare(
    model: models.Model, samples: Sequence[models.Request], identity: descriptions.Description,
    clear: Callable[[], Path],
) -> descriptions.Description:  # fmt: skip
    """Gives `identity` completed: with a plan when an engine serves, with the reason in either case.

    `clear` gives an empty folder for each try.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            original = _observe(model)
            return _choose(original, samples, identity, clear)
        except Unfit as unfit:
            return plain(identity, model.engine, str(unfit))


def plain(identity: descriptions.Description, engine: str, reason: str) -> descriptions.Description:
    """Gives the description of a model that its original serves."""
    return msgspec.structs.replace(identity, acceleration=descriptions.Acceleration(engine, reason))


def _observe(model: models.Model) -> Original:
    """Makes up rows the original answers, and finds out what it refuses."""
    estimator = getattr(model, "estimator", None)
    if estimator is None:
        raise Unfit(f"{model.engine} serves this format itself")
    signature = model.signature
    if signature.features is None:
        raise Unfit("the model doesn't say how many features it takes")
    try:
        columns = conversion.columns_of(estimator, signature)
    except NotImplementedError as error:
        raise Unfit(str(error)) from error
    wanted = frozenset(output.name for output in signature.outputs)
    table, outputs, limit = _answered(model, estimator, columns, wanted)
    columns = tuple(_with_known(model, estimator, column, table) for column in columns)
    numeric = [one.index for one in columns if not one.is_text] if columns else list(range(table.shape[1]))
    words = [""]
    is_uniform = not any(hasattr(part, "transformers_") for part in sklearn_shortcuts.parts(estimator))
    asked = numeric[:1] if is_uniform else numeric
    missing = _refusals(model, table, asked, np.nan, words)
    infinite = _refusals(model, table, asked, np.inf, words)
    if is_uniform:
        missing, infinite = (tuple(found[:1]) * table.shape[1] for found in (missing, infinite))
    domain = descriptions.Domain(limit, tuple(words), missing, infinite)
    allowed = [index for index in numeric if not domain.missing[index]]
    if allowed:
        holed = probes.with_missing(table, allowed)
        with contextlib.suppress(errors.RequestError):
            more = _ask(model, holed, wanted)
            outputs = {name: np.concatenate((array, more[name])) for name, array in outputs.items()}
            table = np.concatenate((table, holed))
    return Original(model, estimator, columns, domain, table, outputs)


def _answered(
    model: models.Model, estimator: Any, columns: tuple[descriptions.Column, ...], wanted: frozenset[str]
) -> tuple[Array, dict[str, Array], float]:
    """Gives rows, the original's outputs for them, and the magnitude up to which it answers."""
    problem = ""
    for limit in _LIMITS:
        if columns:
            table = probes.mixed(estimator, model.signature, columns, limit)
        else:
            table = probes.numbers(estimator, model.signature, limit)
        try:
            return table, _ask(model, table, wanted), limit
        except errors.RequestError as error:
            problem = error.message
    raise Unfit(f"the model refuses the rows that were made up to compare engines on: {problem[:_WORDS]}")


def _ask(model: models.Model, table: Array, wanted: frozenset[str]) -> dict[str, Array]:
    answer = model.predict({models.TABLE: table}, wanted, models.NO_PARAMETERS)
    return {name: np.asarray(answer[name]) for name in wanted}


def _with_known(
    model: models.Model, estimator: Any, column: descriptions.Column, table: Array
) -> descriptions.Column:
    """Gives a text column with the only values the original takes, when it refuses others."""
    if not column.is_text:
        return column
    row = table[:1].copy()
    row[0, column.index] = probes.UNKNOWN_TEXT
    if _refusal(model, row) == "":
        return column
    return msgspec.structs.replace(
        column, known=conversion.categories(estimator, model.signature, column.index)
    )


def _refusals(
    model: models.Model, table: Array, numeric: list[int], value: float, words: list[str]
) -> tuple[int, ...]:
    """Gives, per feature, where in `words` the original's are when it refuses `value` there; adds those it says."""
    found = [0] * table.shape[1]
    for index in numeric:
        row = table[:1].copy()
        row[0, index] = value
        said = _refusal(model, row)
        if said not in words:
            words.append(said)
        found[index] = words.index(said)
    return tuple(found)


def _refusal(model: models.Model, row: Array) -> str:
    """Gives the words with which the original refuses a row, "" when it answers; without the place it names."""
    try:
        _ask(model, row, model.signature.default_outputs)
    except errors.RequestError as error:
        _, marker, words = error.message.partition("the model refuses it: ")
        return words if marker else error.message
    return ""


def _choose(
    original: Original, samples: Sequence[models.Request], identity: descriptions.Description,
    clear: Callable[[], Path],
) -> descriptions.Description:  # fmt: skip
    source = conversion.Source(
        original.estimator, original.model.signature, original.outputs, original.columns
    )
    refused = []
    for candidate in conversion.candidates(source):
        started = time.monotonic()
        try:
            found = _try(original, samples, identity, candidate, clear())
        except Exception as error:
            # Converters are foreign code: whatever they raise is a reason to try the next.
            _log.debug("conversion raised", exc_info=True)
            refused.append(f"{candidate.what}: {_words(error)}")
            continue
        finally:
            _log.debug(
                "tried", extra={"fields": {"engine": candidate.what, "seconds": time.monotonic() - started}}
            )
        return found
    clear()
    kind = type(conversion.unwrapped(original.estimator)).__name__
    raise Unfit("; ".join(refused) or f"no engine knows {kind}")


def _try(
    original: Original, samples: Sequence[models.Request], identity: descriptions.Description,
    candidate: conversion.Candidate, folder: Path,
) -> descriptions.Description:  # fmt: skip
    """Gives the description with a candidate's plan; raises `Unfit` when the gate refuses it or it doesn't pay."""
    plan = msgspec.structs.replace(candidate.build(folder), domain=original.domain)
    if original.columns:
        observed = {one.index: one for one in original.columns}
        columns = tuple(msgspec.structs.replace(observed[one.index], name=one.name) for one in plan.columns)
        plan = msgspec.structs.replace(plan, columns=columns)
    plan = _offered(plan, original.model.signature)
    checked = len(original.table) + sum(request.rows for request in samples)
    described = msgspec.structs.replace(
        identity,
        signature=original.model.signature,
        versions=dict(original.model.versions),
        warnings=tuple(original.model.warnings),
        plan=plan,
        acceleration=descriptions.Acceleration(candidate.engine, "", checked),
    )
    engine = prepared.PreparedModel(described, folder, _no_original, threads=1)
    _judge(original, samples, engine, plan)
    gain = _gain(original.model, engine, original.table)
    reason = f"equal to {original.model.engine} on {checked} rows, and {gain:.0f} times faster on one"
    return msgspec.structs.replace(
        described, acceleration=descriptions.Acceleration(candidate.engine, reason, checked)
    )


def _offered(plan: descriptions.Plan, signature: models.Signature) -> descriptions.Plan:
    """Gives the plan; raises `Unfit` when it lacks the prediction or the probabilities."""
    for output in signature.outputs:
        if output.name in (models.PREDICTION, models.PROBABILITY) and output.name not in plan.answers:
            raise Unfit(f"it doesn't give {output.name}")
    return plan


def _judge(
    original: Original, samples: Sequence[models.Request], engine: prepared.PreparedModel,
    plan: descriptions.Plan,
) -> None:  # fmt: skip
    """Raises `Unfit` at the first difference between the engine and the original."""
    offered = frozenset(plan.answers)
    expected = {name: original.outputs[name] for name in offered}
    for table, wants in _batches(original.table, expected):
        problem = gate.difference(wants, engine.predict({models.TABLE: table}, offered, models.NO_PARAMETERS))
        if problem is not None:
            raise Unfit(f"the gate refused it: {problem}")
    for request in samples:
        if not engine.check_rows(request.inputs[models.TABLE]):
            continue
        wanted = request.wanted & offered
        problem = gate.difference(
            {name: np.asarray(array) for name, array in
             original.model.predict(request.inputs, wanted, request.parameters).items()},
            engine.predict(request.inputs, wanted, request.parameters),
        )  # fmt: skip
        if problem is not None:
            raise Unfit(f"the gate refused it on a sample: {problem}")


def _batches(table: Array, expected: dict[str, Array]) -> Iterator[tuple[Array, dict[str, Array]]]:
    """Gives all rows together, and some of them alone: engines have another path for one row."""
    yield table, expected
    for row in np.linspace(0, len(table) - 1, _ALONE).astype(int):
        yield table[row : row + 1], {name: array[row : row + 1] for name, array in expected.items()}


def _gain(model: models.Model, engine: models.Model, table: Array) -> float:
    """Gives how many times faster a row is; raises `Unfit` when the engine isn't worth its while."""
    # Against the library's own way: an engine also saves its import, which no short way through it does.
    model = getattr(model, "unabridged", lambda: model)()
    few, many = table[2:3], table[2 : 2 + _MANY]
    gain = _seconds(model, few) / _seconds(engine, few)
    gain_many = _seconds(model, many) / _seconds(engine, many)
    if gain < _GAIN or gain_many * _LOSS < 1:
        raise Unfit(f"it isn't faster: {gain:.1f} times on one row, {gain_many:.1f} times on {_MANY}")
    return gain


def _seconds(model: models.Model, table: Array) -> float:
    """Gives the least seconds that a prediction took; a slow one is asked once more, no oftener."""
    wanted = model.signature.default_outputs
    best, spent = float("inf"), 0.0
    for _ in range(20):
        started = time.perf_counter()
        model.predict({models.TABLE: table}, wanted, models.NO_PARAMETERS)
        seconds = time.perf_counter() - started
        best, spent = min(best, seconds), spent + seconds
        if spent > 0.2:
            break
    return max(best, 1e-7)


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())[:_WORDS]
    return (
        text if isinstance(error, Unfit | NotImplementedError) and text else f"{type(error).__name__}: {text}"
    )


def _no_original() -> models.Model:
    raise errors.StartFailure(errors.Reason.INTERNAL_ERROR, "the engine doesn't take a row of the gate")
