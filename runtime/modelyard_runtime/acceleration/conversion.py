"""scikit-learn estimator → engine files: which forms are worth a try, and how each is made.

Called by `preparation`, in a process of its own: converters are native code with bugs of their own. Whatever is wrong
with an estimator ends here as an exception; whether a result is right is for the gate to say.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.acceleration import model as prepared
from modelyard_runtime.acceleration import tree_conversion, trees
from modelyard_runtime.formats import model as models

TREELITE = "treelite"
ONNX_RUNTIME = "onnxruntime"
_OPSET = {"": 21, "ai.onnx.ml": 3}  # the newest that skl2onnx's operators and ONNX Runtime agree on
_MAIN, _SCORES = "main.onnx", "scores.onnx"


class Candidate(msgspec.Struct, frozen=True):
    """One way to answer: `build` writes its files to a folder and gives the plan, without a domain."""

    engine: str
    what: str
    build: Callable[[Path], descriptions.Plan]


class Source(msgspec.Struct, frozen=True):
    """What is converted: the estimator, its signature, the outputs the original gives, the columns of mixed tables."""

    estimator: Any
    signature: models.Signature
    outputs: Mapping[str, Any]
    columns: tuple[descriptions.Column, ...]


def candidates(source: Source) -> Iterator[Candidate]:
    """Gives what to try, the most exact first; nothing when no engine knows such an estimator."""
    estimator = unwrapped(source.estimator)
    steps, last = _split(estimator)
    if tree_conversion.is_known(last):
        if steps is None:
            yield Candidate(TREELITE, "its trees in Treelite", lambda folder: _trees(source, last, folder))
        else:
            yield Candidate(
                f"{ONNX_RUNTIME}+{TREELITE}",
                "its steps in ONNX Runtime and its trees in Treelite",
                lambda folder: _steps_and_trees(source, steps, last, folder),
            )
        return
    for precision in ("float64", "float32"):
        yield Candidate(
            ONNX_RUNTIME,
            f"ONNX Runtime in {precision}",
            lambda folder, precision=precision: _graph(source, estimator, precision, folder),  # type: ignore[misc]
        )


def unwrapped(estimator: Any) -> Any:
    """Gives what a finished search answers with; else the estimator itself."""
    return getattr(estimator, "best_estimator_", estimator)


def _split(estimator: Any) -> tuple[Any | None, Any]:
    """Gives the steps before the last as one transformer, None when there are none, and the last step."""
    steps = getattr(estimator, "steps", None)
    if not steps:
        return None, estimator
    rest = [step for _, step in steps[:-1] if step is not None and step != "passthrough"]
    if not rest:
        return None, steps[-1][1]
    return (rest[0] if len(rest) == 1 else estimator[:-1]), steps[-1][1]


def _trees(source: Source, last: Any, folder: Path) -> descriptions.Plan:
    if source.columns:
        raise NotImplementedError("trees that encode text themselves")
    described = tree_conversion.convert(last, folder)
    return descriptions.Plan(answers=_tree_answers(source), trees=described)


def _steps_and_trees(source: Source, steps: Any, last: Any, folder: Path) -> descriptions.Plan:
    described = tree_conversion.convert(last, folder)
    columns = _write(steps, source, "float64", folder / _MAIN, prepared.FEATURES, False)
    return descriptions.Plan(answers=_tree_answers(source), graphs=(_MAIN,), columns=columns, trees=described)


def _tree_answers(source: Source) -> dict[str, descriptions.Answer]:
    is_classifier = source.signature.classes is not None
    sources = {
        models.PREDICTION: trees.LABELS if is_classifier else trees.VALUES,
        models.PROBABILITY: trees.VALUES,
        "decision_function": trees.RAW,
    }
    return {name: _answer(array, sources[name]) for name, array in source.outputs.items() if name in sources}


def _graph(source: Source, estimator: Any, precision: str, folder: Path) -> descriptions.Plan:
    is_classifier = source.signature.classes is not None
    columns = _write(estimator, source, precision, folder / _MAIN, "main", False)
    first, second = "main0", "main1"
    sources = {models.PREDICTION: first, "transform": first}
    if is_classifier:
        sources |= {models.PROBABILITY: second, "decision_function": second}
    graphs = [_MAIN]
    if is_classifier and {models.PROBABILITY, "decision_function"} <= source.outputs.keys():
        try:
            _write(estimator, source, precision, folder / _SCORES, "scores", True)
            graphs.append(_SCORES)
            sources["decision_function"] = "scores1"
        except Exception:  # an estimator without such a form: its scores come from the original
            del sources["decision_function"]
    if "transform" in source.outputs and models.PREDICTION in source.outputs:
        del sources["transform"]
    answers = {
        name: _answer(array, sources[name]) for name, array in source.outputs.items() if name in sources
    }
    return descriptions.Plan(answers=answers, graphs=tuple(graphs), columns=columns, precision=precision)


def _answer(array: Any, source: str) -> descriptions.Answer:
    return descriptions.Answer(
        array.dtype.str if array.dtype.kind != "O" else "object", array.shape[1:], source
    )


def _write(
    estimator: Any, source: Source, precision: str, file: Path, prefix: str, scores: bool
) -> tuple[descriptions.Column, ...]:
    """Writes the ONNX form of an estimator and gives the columns it takes, none when it takes one matrix.

    Its outputs are called `prefix` and their number; just `prefix` for the features that trees take.
    """
    import onnx  # noqa: PLC0415 - only the process that converts pays for it

    columns = source.columns
    try:
        found = _convert(estimator, source, (), precision, scores) if not columns else None
    except Exception:
        # Steps that choose columns by name want every column as an input of its own.
        if not source.signature.is_named:
            raise
        columns, found = number_columns(source.signature), None
    if found is None:
        found = _convert(estimator, source, columns, precision, scores)
    for index, output in enumerate(list(found.graph.output)):
        _rename(found, output.name, prefix if prefix == prepared.FEATURES else f"{prefix}{index}")
    onnx.save_model(found, str(file))
    taken = {one.name for one in found.graph.input}
    renamed = (msgspec.structs.replace(one, name=_identifier(one)) for one in columns)
    return tuple(one for one in renamed if one.name in taken)


def number_columns(signature: models.Signature) -> tuple[descriptions.Column, ...]:
    """Gives one column per feature of a table of numbers."""
    return tuple(
        descriptions.Column(index, feature.name, False)
        for index, feature in enumerate(signature.features or ())
    )


def _convert(
    estimator: Any,
    source: Source,
    columns: tuple[descriptions.Column, ...],
    precision: str,
    scores: bool,
) -> Any:
    import skl2onnx  # noqa: PLC0415 - see `_write`
    from skl2onnx.common import data_types  # noqa: PLC0415 - see `_write`

    from modelyard_runtime.acceleration import onnx_operators  # noqa: PLC0415 - see `_write`

    onnx_operators.register()
    number = data_types.DoubleTensorType if precision == "float64" else data_types.FloatTensorType
    if columns:
        inputs = [
            (one.name, (data_types.StringTensorType if one.is_text else number)([None, 1])) for one in columns
        ]
    else:
        inputs = [(prepared.MATRIX, number([None, len(source.signature.features or ())]))]
    _, last = _split(estimator)
    options = {}
    if hasattr(last, "classes_"):
        options = {id(last): {"zipmap": False, **({"raw_scores": True} if scores else {})}}
    converted = skl2onnx.convert_sklearn(
        estimator, initial_types=inputs, options=options, target_opset=_OPSET
    )
    for one in columns:
        _rename(converted, re.sub(r"[^A-Za-z0-9_]", "_", one.name), _identifier(one))
    return converted


def _identifier(column: descriptions.Column) -> str:
    return f"column{column.index}"


def _rename(model: Any, old: str, new: str) -> None:
    """Renames a value throughout a graph."""
    for values in (model.graph.input, model.graph.output, model.graph.value_info):
        for value in values:
            if value.name == old:
                value.name = new
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new


def columns_of(estimator: Any, signature: models.Signature) -> tuple[descriptions.Column, ...]:
    """Gives the columns of a model that takes text among numbers; none for a table of numbers.

    Raises `NotImplementedError` for text that no encoder with known categories reads: no rows can be made up for it.
    """
    if signature.is_numeric:
        return ()
    if signature.takes_documents or signature.features is None:
        raise NotImplementedError(
            "it takes documents, and no text can be made up that covers what it was trained on"
        )
    found = []
    for index, feature in enumerate(signature.features):
        if feature.kind is models.Kind.NUMBER:
            found.append(descriptions.Column(index, feature.name, False))
            continue
        values = categories(estimator, signature, index)
        if values is None and feature.kind is models.Kind.ANY:
            # What is passed on unseen must be numbers if anything computes with it; if nothing does, no graph takes it.
            found.append(descriptions.Column(index, feature.name, False, is_certain=False))
            continue
        if values is None or not all(isinstance(value, str) for value in values):
            raise NotImplementedError(f"no text can be made up for its feature {feature.name!r}")
        found.append(descriptions.Column(index, feature.name, True))
    return tuple(found)


def categories(estimator: Any, signature: models.Signature, index: int) -> tuple[Any, ...] | None:
    """Gives the categories an encoder learned for one column, missing ones left out; None when none did."""
    from modelyard_runtime.formats import sklearn_shortcuts  # noqa: PLC0415 - imports scikit-learn

    names = [feature.name for feature in signature.features or ()]
    for part in sklearn_shortcuts.parts(unwrapped(estimator)):
        for chosen, encoder in _encoders(part, names):
            if index in chosen:
                return _texts(encoder.categories_[chosen.index(index)])
    return None


def _encoders(part: Any, names: list[str]) -> Iterator[tuple[list[int], Any]]:
    """Gives (columns, encoder) of every encoder that a part sends columns to, or the part itself when it is one."""
    from modelyard_runtime.formats import sklearn_shortcuts, sklearn_signature  # noqa: PLC0415 - see `categories`

    if len(getattr(part, "categories_", ())) == len(names):
        yield list(range(len(names))), part
    for _, transformer, columns in getattr(part, "transformers_", ()):
        if isinstance(transformer, str):
            continue
        chosen = [names.index(name) for name in sklearn_signature.column_names(columns, names)]
        for inner in sklearn_shortcuts.parts(transformer):
            if len(getattr(inner, "categories_", ())) == len(chosen):
                yield chosen, inner


def _texts(values: Any) -> tuple[Any, ...]:
    return tuple(
        value
        for value in np.asarray(values, dtype=np.object_).tolist()
        if value is not None and not (isinstance(value, float) and np.isnan(value))
    )
