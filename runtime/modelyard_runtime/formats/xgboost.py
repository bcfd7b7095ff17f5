"""XGBoost models in XGBoost's own files (.ubj, .json), computed by the Booster in them.

`adapters` imports it on demand; importing this module imports XGBoost. The file runs no code. A file that XGBoost's
scikit-learn classes wrote answers as they do: a classifier gives labels. The file of a bare Booster answers as
`Booster.predict` does: with whatever its objective makes, for `binary:logistic` the probability.
"""

import itertools
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from modelyard_runtime import errors
from modelyard_runtime.formats import categories, detection, versions, wording
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)
_TAIL_BYTES = 256
# The version that wrote a file is its last entry: as text in JSON, as an array of small numbers in UBJSON.
_JSON_VERSION = re.compile(rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)')
_UBJSON_VERSION = re.compile(rb"\x07version\[#L.{8}i(.)i(.)i(.)", re.DOTALL)
_CATEGORY = "c"  # the feature type
_GARBLED = (
    "XGBoost cuts categories with letters outside ASCII in the wrong places when it saves them, so that some are not "
    "recognised; encode them as numbers before training"
)


class XGBoostModel:
    """A Booster, and what the class that wrote its file would make of its answer."""

    format = "xgboost"
    engine = "XGBoost"

    def __init__(self, booster: xgboost.Booster, notes: tuple[str, ...]) -> None:
        learner = json.loads(booster.save_config())["learner"]
        written_by = json.loads(booster.attr("scikit_learn") or "{}").get("_estimator_type")
        listed = read_categories(booster)
        for values in listed.values():
            if any(isinstance(value, str) and not value.isascii() for value in values):
                notes = (*notes, _GARBLED)
                break
        self._booster = booster
        self._codes = categories.Codes(listed, categories.Unknown.REFUSED)
        self._is_linear = learner["gradient_booster"]["name"] == "gblinear"
        self._objective = learner["objective"]["name"]
        self._class_count = max(2, int(learner["learner_model_param"]["num_class"]))
        self._gives_labels = written_by == "classifier"
        # The classes use the best iteration of early stopping, the Booster all of them.
        best = booster.attr("best_iteration") if written_by else None
        self._iterations = (0, int(best) + 1) if best else (0, 0)
        self.signature = self._describe(listed, int(learner["learner_model_param"]["num_target"]))
        self.versions: Mapping[str, str] = {"xgboost": xgboost.__version__, "numpy": np.__version__}
        self.warnings = notes

    def predict(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        """Gives labels or whatever the objective makes and, when wanted, probabilities."""
        del parameters
        data = self._codes.encode(inputs[models.TABLE], self.signature)
        try:
            raw = self._compute(data)
        except (ValueError, xgboost.core.XGBoostError) as error:
            # XGBoost checks sizes and values and has one type of error for both, with a trace of its C++ in the text.
            text = wording.one_line(
                ValueError(str(error).partition("Stack trace")[0].rpartition("Check failed:")[2])
            )
            raise errors.InvalidInput(f"the model can't take this input: {text}") from error
        return {name: self._answer(name, raw, data) for name in wanted}

    def _compute(self, data: npt.NDArray[np.float64], predict_type: str = "value") -> npt.NDArray[np.float32]:
        if self._is_linear:  # can't be computed in place
            matrix = xgboost.DMatrix(data)
            answer = self._booster.predict(
                matrix, output_margin=predict_type == "margin", validate_features=False
            )
        else:
            answer = self._booster.inplace_predict(
                data, iteration_range=self._iterations, predict_type=predict_type, validate_features=False
            )
        return np.asarray(answer)

    def _answer(
        self, name: str, raw: npt.NDArray[np.float32], data: npt.NDArray[np.float64]
    ) -> npt.NDArray[Any]:
        if name == models.PROBABILITY:
            return self._probabilities(raw, data)
        if not self._gives_labels:
            return raw
        if self._objective == "multi:softmax":
            return raw.astype(np.int64)
        # Two classes have one probability, of the second; several labels at once have a column each.
        is_exclusive = raw.ndim == 2 and raw.shape[1] == self._class_count
        return raw.argmax(axis=1) if is_exclusive else (raw > 0.5).astype(np.int64)

    def _probabilities(
        self, raw: npt.NDArray[np.float32], data: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        if self._objective == "multi:softmax":
            margins = self._compute(data, "margin")
            powers = np.exp(margins - margins.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True))
        return raw if raw.ndim == 2 else np.stack([1.0 - raw, raw], axis=1)

    def _describe(self, listed: categories.Categories, target_count: int) -> models.Signature:
        names = self._booster.feature_names
        features = tuple(
            models.Feature(
                names[index] if names else f"x{index}",
                categories.kind_of(listed[index]) if index in listed else models.Kind.NUMBER,
            )
            for index in range(self._booster.num_features())
        )
        is_probable = (
            self._objective in ("binary:logistic", "multi:softprob", "multi:softmax") and target_count == 1
        )
        width = () if target_count == 1 else (target_count,)
        if self._objective == "multi:softprob" and not self._gives_labels:
            width = (self._class_count,)
        prediction = models.TensorSpec(
            models.PREDICTION, "INT64" if self._gives_labels else "FP32", (-1, *width)
        )
        probability = models.TensorSpec(models.PROBABILITY, "FP32", (-1, self._class_count))
        return models.Signature(
            features=features,
            is_named=bool(names),
            allows_missing=True,
            outputs=(prediction, probability) if is_probable else (prediction,),
            on_request=frozenset({models.PROBABILITY} if is_probable else ()),
            classes=tuple(range(self._class_count)) if is_probable else None,
        )


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> XGBoostModel:
    """Loads the Booster in a file or folder; raises `StartFailure` (LoadFailed, VersionMismatch)."""
    file = detection.find_model_file(path)
    tail = _read_tail(file)
    # XGBoost crashes on some files that are empty or cut off: what doesn't begin and end like one never reaches it.
    if detection.infer_format(detection.read_head(file)) != "xgboost" or not tail.rstrip().endswith(b"}"):
        raise wording.unreadable(file, "xgboost", ValueError("it doesn't end like one"))
    # XGBoost reads what older versions wrote, as its documentation promises; the other way round it may not.
    written = _written_by(tail)
    newer = [written] if versions.is_newer(written, xgboost.__version__) else []
    notes = versions.notes("XGBoost", newer, xgboost.__version__, options)
    for note in notes:
        _log.warning("version mismatch", extra={"fields": {"problem": note}})
    booster = xgboost.Booster()
    try:
        # The content decides whether it is JSON or UBJSON, not the file's name.
        booster.load_model(bytearray(file.read_bytes()))
        booster.set_param({"nthread": options.threads})
        return XGBoostModel(booster, notes)
    except (xgboost.core.XGBoostError, ValueError, KeyError) as error:
        _log.debug("load raised", exc_info=True)
        raise wording.unreadable(file, "xgboost", error) from error


def _read_tail(file: Path) -> bytes:
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _TAIL_BYTES))
        return opened.read()


def _written_by(tail: bytes) -> str:
    """Gives the version of XGBoost that wrote a file with this end, or nothing."""
    if (found := _JSON_VERSION.search(tail)) is not None:
        return ".".join(number.decode() for number in found.groups())
    if (found := _UBJSON_VERSION.search(tail)) is not None:
        return ".".join(str(number[0]) for number in found.groups())
    return ""


def read_categories(booster: xgboost.Booster) -> categories.Categories:
    """Gives the categories that a Booster lists for its features of that type."""
    if _CATEGORY not in (booster.feature_types or ()):
        return {}
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
    listed: dict[int, list[Any]] = {}
    for index, column in enumerate(model.get("cats", {}).get("enc", ())):
        values, offsets = column["values"], column.get("offsets")
        if values and offsets:  # texts, one after the other
            joined = bytes(value % 256 for value in values)
            listed[index] = [
                joined[start:end].decode("utf-8", "replace") for start, end in itertools.pairwise(offsets)
            ]
        elif values:
            listed[index] = values
    return listed
