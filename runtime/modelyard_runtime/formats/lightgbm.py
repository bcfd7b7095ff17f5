"""LightGBM models in LightGBM's own text files, computed by the Booster in them.

`adapters` imports it on demand; importing this module imports LightGBM. The file runs no code. It answers as
`Booster.predict` does, with whatever the objective makes: for `binary` the probability, for `multiclass` one for each
class. Which labels a classifier gave its classes is not in the file.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from modelyard_runtime import errors
from modelyard_runtime.formats import categories, detection, wording
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)
_HEADER_BYTES = 1024**2  # the lines before the first tree, of a model with tens of thousands of features
_FEATURE_INFOS = "feature_infos="
_END = b"\nend of parameters"  # before the categories of pandas, if any, at the end of a whole file
_TAIL_BYTES = 16 * 1024**2
_RANGE = re.compile(r"\[([-+.\de]+):([-+.\de]+)\]")
_FIRST_ROWS = re.compile(rb"\nTree=0\n(?:[^\n]+\n)*?internal_count=(\d+)")
_SAMPLING = re.compile(rb"\n\[(bin_construct_sample_cnt|bagging_freq|bagging_fraction): ([\d.e+-]+)\]")
_BINARY, _MULTICLASS = ("binary", "cross_entropy"), ("multiclass", "multiclassova")

Ends = tuple[float | None, float | None]


class LightGBMModel:
    """A Booster of LightGBM."""

    format = "lightgbm"
    engine = "LightGBM"

    def __init__(self, booster: lightgbm.Booster, text: bytes, threads: int) -> None:
        objective = str(booster.params.get("objective", "")) or "none"
        self._booster = booster
        self._threads = threads
        listed = read_categories(booster, text)
        # LightGBM takes a category that it doesn't know for a missing value.
        self._codes = categories.Codes(listed, categories.Unknown.MISSING)
        self._is_binary = objective in _BINARY
        self.signature = _signature(booster, listed, objective, read_ends(text))
        self.versions: Mapping[str, str] = {"lightgbm": lightgbm.__version__, "numpy": np.__version__}
        self.warnings: tuple[str, ...] = ()

    def predict(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        """Gives whatever the objective makes and, when wanted, probabilities."""
        del parameters
        data = self._codes.encode(inputs[models.TABLE], self.signature)
        try:
            raw = np.asarray(self._booster.predict(data, num_threads=self._threads))
        except (ValueError, lightgbm.basic.LightGBMError) as error:
            text = wording.one_line(ValueError(str(error).partition("\n")[0]))
            raise errors.InvalidInput(f"the model can't take this input: {text}") from error
        both = np.stack([1.0 - raw, raw], axis=1) if self._is_binary and models.PROBABILITY in wanted else raw
        return {name: both if name == models.PROBABILITY else raw for name in wanted}


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> LightGBMModel:
    """Loads the Booster in a file or folder; raises `StartFailure` (LoadFailed)."""
    file = detection.find_model_file(path)
    size = file.stat().st_size
    with file.open("rb") as opened:
        header = opened.read(_HEADER_BYTES)
        opened.seek(max(0, size - _TAIL_BYTES))
        tail = opened.read()
    # LightGBM reads some files that were cut off without a word, and crashes on others.
    if detection.infer_format(header) != "lightgbm" or _END not in tail:
        raise wording.unreadable(file, "lightgbm", ValueError("its parameters are missing at the end"))
    try:
        booster = lightgbm.Booster(model_file=str(file))
        return LightGBMModel(booster, header + tail, options.threads)
    except (lightgbm.basic.LightGBMError, ValueError) as error:
        _log.debug("load raised", exc_info=True)
        raise wording.unreadable(file, "lightgbm", error) from error


def _feature_infos(header: bytes) -> list[str]:
    """Gives what the file notes for each feature: `[low:high]`, `code:code:…` for categories, `none`."""
    lines = header.decode("utf-8", "replace").splitlines()
    return next(
        (line[len(_FEATURE_INFOS) :].split(" ") for line in lines if line.startswith(_FEATURE_INFOS)), []
    )


def read_categories(booster: lightgbm.Booster, header: bytes) -> categories.Categories:
    """Gives the categories that came from a DataFrame; `header` is the beginning of the Booster's file.

    A feature whose categories were numbers from the start is not among them: its values are its codes.
    """
    listed: list[list[Any]] = booster.pandas_categorical or []
    infos = _feature_infos(header)
    columns = [index for index, info in enumerate(infos) if info != "none" and not info.startswith("[")]
    # A category that never mattered leaves no trace in the header: then nobody can tell which list is whose.
    return dict(zip(columns, listed, strict=True)) if len(columns) == len(listed) else {}


def read_ends(text: bytes) -> list[Ends]:
    """Gives between which values each feature lay; `text` is a Booster's file, at least its beginning and its end.

    LightGBM notes them of the rows that it has looked at before it begins. The file does not say how many the others
    were, but the first tree says of how many it was made: only where those are no more than were looked at, all were.
    """
    infos = [_RANGE.fullmatch(info) for info in _feature_infos(text)]
    if not _has_seen_all(text):
        return [(None, None)] * len(infos)
    return [(float(found[1]), float(found[2])) if found else (None, None) for found in infos]


def _has_seen_all(text: bytes) -> bool:
    rows = _FIRST_ROWS.search(text)
    parameters = {name: float(value) for name, value in _SAMPLING.findall(text)}
    if (
        rows is None
        or not {b"bin_construct_sample_cnt", b"bagging_freq", b"bagging_fraction"} <= parameters.keys()
    ):
        return False
    is_bagged = parameters[b"bagging_freq"] > 0 and parameters[b"bagging_fraction"] < 1
    return not is_bagged and int(rows[1]) <= parameters[b"bin_construct_sample_cnt"]


def _signature(
    booster: lightgbm.Booster, listed: categories.Categories, objective: str, ends: list[Ends]
) -> models.Signature:
    names = booster.feature_name()
    generated = [f"Column_{index}" for index in range(len(names))]
    features = tuple(
        models.Feature(
            f"x{index}" if names == generated else name,
            categories.kind_of(listed[index]) if index in listed else models.Kind.NUMBER,
            *(ends[index] if index < len(ends) else ()),
        )
        for index, name in enumerate(names)
    )
    width = booster.num_model_per_iteration()
    prediction = models.TensorSpec(models.PREDICTION, "FP64", (-1,) if width == 1 else (-1, width))
    count = {True: 2, False: width}[objective in _BINARY] if objective in (*_BINARY, *_MULTICLASS) else 0
    probability = (models.TensorSpec(models.PROBABILITY, "FP64", (-1, count)),) if count else ()
    return models.Signature(
        features=features,
        is_named=names != generated,
        allows_missing=True,
        outputs=(prediction, *probability),
        on_request=frozenset(output.name for output in probability),
        classes=tuple(range(count)) if count else None,
    )
