"""A model that answers through its faster engine, and through the original wherever the engine was not proven.

Made by `loading` from what `prepare` left, and by `preparation`, which lets the gate ask the very code that serves. The
original is loaded when it is first needed: for an output the engine lacks, for values outside of the proven domain.
It must never answer such a request itself.
"""

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard_runtime import errors
from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.acceleration import graphs, trees
from modelyard_runtime.formats import model as models

Array = npt.NDArray[Any]
FEATURES = "features"  # what a graph calls its output that trees take
MATRIX = "X"  # what a graph calls its input when it takes the table as one matrix


class PreparedModel:
    """A model whose answers come from an engine of `prepare`."""

    def __init__(
        self,
        described: descriptions.Description,
        folder: Path,
        load_original: Callable[[], models.Model],
        threads: int,
    ) -> None:
        """Takes a description that has a plan and a signature; raises `OSError` when the trees can't be read."""
        if described.plan is None or described.signature is None:
            raise ValueError("the description has no plan")
        self.format = described.platform
        self.engine = described.acceleration.engine
        self.signature = described.signature
        self.versions = described.versions
        self.warnings = described.warnings
        self._plan = described.plan
        self._folder = folder
        self._threads = threads
        self._load_original = load_original
        self._original: models.Model | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._graphs: tuple[graphs.Graph, ...] | None = None
        self._forest = self._tree_engine()
        self._labels = _label_type(described.plan)
        self._dtypes = {name: np.dtype(one.dtype) for name, one in described.plan.answers.items()}
        self._number_columns = [one.index for one in described.plan.columns if not one.is_text]
        self._uncertain = [one.index for one in described.plan.columns if not one.is_certain]
        self._known = {
            one.index: frozenset(one.known) for one in described.plan.columns if one.known is not None
        }

    def predict(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        """Gives the wanted outputs, as the original would."""
        table = inputs[models.TABLE]
        feeds = self._feeds(table) if wanted <= self._plan.answers.keys() else None
        if feeds is None:
            return self._ask_original(inputs, wanted, parameters)
        try:
            found = self._run(feeds, frozenset(self._plan.answers[name].source for name in wanted))
        except Exception as error:
            # Foreign code: the request fails and the server lives.
            raise errors.ModelFailed(f"the model failed to predict: {type(error).__name__}") from error
        rows = table.shape[0]
        return {name: self._finished(name, found, rows) for name in wanted}

    def start(self) -> None:
        """Opens the graphs, so that a damaged one is found out; a worker that is forked opens its own again."""
        self._sessions()

    def check_rows(self, table: models.Table) -> bool:
        """Says whether the engine takes this table; raises `InvalidInput` where the original's words are known."""
        return self._feeds(table) is not None

    def _run(self, feeds: Mapping[str, Array], sources: frozenset[str]) -> dict[str, Array]:
        if self._forest is None:
            found: dict[str, Array] = {}
            for graph in self._sessions():
                found |= graph.run(feeds, sources)
            return found
        if not self._plan.graphs:
            return self._forest.run(feeds[MATRIX], sources)
        features = self._sessions()[0].run(feeds, frozenset({FEATURES}))[FEATURES]
        return self._forest.run(features, sources)

    def _finished(self, name: str, found: Mapping[str, Array], rows: int) -> Array:
        """Gives an output in the type and shape the original gives it."""
        answer = self._plan.answers[name]
        array = found[answer.source]
        shape = (rows, *answer.tail)
        if array.shape != shape:
            # The score of two classes is that of the second.
            array = array[:, 1] if not answer.tail and array.shape == (rows, 2) else array.reshape(shape)
        dtype = self._dtypes[name]
        return array if array.dtype == dtype else array.astype(dtype)

    def _feeds(self, table: Array) -> dict[str, Array] | None:
        """Gives what the engine takes; None where only the original can answer; raises `InvalidInput`."""
        if self._plan.columns:
            return self._column_feeds(table)
        if table.dtype.kind not in "fiub":
            return None
        numbers = np.ascontiguousarray(table, dtype=np.float64)
        if numbers.ndim != 2 or not self._takes(numbers, range(numbers.shape[1]), True):
            return None
        if self._plan.precision == "float64":
            return {MATRIX: numbers}
        return {MATRIX: numbers.astype(self._plan.precision)}

    def _column_feeds(self, table: Array) -> dict[str, Array] | None:
        for index in self._uncertain:
            if not all(type(value) in (int, float) for value in table[:, index]):
                return None
        try:
            numbers = table[:, self._number_columns].astype(np.float64)
        except (TypeError, ValueError):
            return None
        if not self._takes(numbers, self._number_columns, table.dtype.kind != "O"):
            return None
        feeds: dict[str, Array] = {}
        position = 0
        for column in self._plan.columns:
            if column.is_text:
                values = table[:, column.index]
                known = self._known.get(column.index)
                for value in values:
                    if type(value) is not str or (known is not None and value not in known):
                        return None
                feeds[column.name] = np.array(values, dtype=np.object_).reshape(-1, 1)
            else:
                feeds[column.name] = np.ascontiguousarray(
                    numbers[:, position : position + 1], dtype=self._plan.precision
                )
                position += 1
        return feeds

    def _takes(self, numbers: Array, features: "range | list[int]", names_place: bool) -> bool:
        """Says whether the numbers lie in the proven domain; raises `InvalidInput` in the original's words.

        `names_place` says that the original tells which value of such a table it refuses.
        """
        domain = self._plan.domain
        if domain is None:
            return True
        flat = numbers.ravel()
        # One pass over the numbers: NaN, infinity and an overflow make this false as well.
        with np.errstate(over="ignore", invalid="ignore"):
            is_usual = flat.size == 0 or float(flat.dot(flat)) <= domain.limit * domain.limit
        if is_usual:
            return True
        finite = np.isfinite(numbers)
        if not finite.all():
            self._refuse(numbers, finite, features, names_place)
            if not np.isnan(numbers[~finite]).all():
                return False
        return bool(np.abs(numbers, where=finite, out=np.zeros_like(numbers)).max() <= domain.limit)

    def _refuse(
        self, numbers: Array, finite: Array, features: "range | list[int]", names_place: bool
    ) -> None:
        """Raises `InvalidInput` for the first value that the original refuses, if its words are known."""
        domain = self._plan.domain
        if domain is None:
            return
        places = [(int(row), features[int(column)], bool(np.isnan(numbers[row, column])))
                  for row, column in np.argwhere(~finite)]  # fmt: skip
        row, feature, is_missing = places[0]
        refusals = [
            domain.words[(domain.missing if missing else domain.infinite)[where]]
            for _, where, missing in places
        ]
        # scikit-learn speaks of the first value that it refuses, in the order of the table.
        words = next((one for one in refusals if one), "")
        if words and not names_place:
            raise errors.InvalidInput(words)
        if words:
            value = "missing (NaN)" if is_missing else "infinite"
            raise errors.InvalidInput(
                f"{self.signature.place(row, feature)} is {value}, and the model refuses it: {words}"
            )

    def _ask_original(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        with self._lock:
            if self._original is None:
                try:
                    self._original = self._load_original()
                except errors.StartFailure as failure:
                    raise errors.ModelFailed(f"the model failed to predict: {failure.message}") from failure
        return self._original.predict(inputs, wanted, parameters)

    def _sessions(self) -> tuple[graphs.Graph, ...]:
        # A session with threads of its own doesn't survive a fork. Two threads may both make some; one pair is dropped.
        if self._graphs is None or (self._threads > 1 and self._process != os.getpid()):
            self._graphs = tuple(
                graphs.Graph(self._folder / name, self._threads) for name in self._plan.graphs
            )
            self._process = os.getpid()
        return self._graphs

    def _tree_engine(self) -> trees.TreeEngine | None:
        plan = self._plan
        if plan.trees is None:
            return None
        label_type = _label_type(plan)
        classes = None
        if label_type is not None and self.signature.classes is not None:
            classes = np.array(self.signature.classes, dtype=label_type)
        return trees.TreeEngine(self._folder, plan.trees, classes, self._threads)


def _label_type(plan: descriptions.Plan) -> "np.dtype[Any] | None":
    """Gives the dtype of labels, None for a model that predicts values."""
    answer = plan.answers.get(models.PREDICTION)
    is_label = answer is not None and answer.source == trees.LABELS
    return np.dtype(answer.dtype) if answer is not None and is_label else None
