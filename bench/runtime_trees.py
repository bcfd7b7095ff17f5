"""What Treelite makes of trees, beside the library that made them: files of XGBoost and LightGBM, and a forest.

Run by hand: `python -m bench.runtime_trees` (a minute, one thread); docs/acceleration.md says what follows from it.
It compares both within one process, in turns, so only its ratios mean anything on another machine.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import treelite
import xgboost
from sklearn.ensemble import RandomForestClassifier

from modelyard_runtime.acceleration import gtil
from modelyard_runtime.formats import lightgbm as lightgbm_format
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import xgboost as xgboost_format

Array = npt.NDArray[Any]
ROWS = (1, 64, 1000)
_ROUNDS = 15
_TREES = 100
_FEATURES = 20


def _data() -> tuple[Array, Array]:
    generator = np.random.default_rng(0)
    table = generator.normal(size=(2000, _FEATURES))
    return table, (table[:, 0] + table[:, 1] * table[:, 2] > 0).astype(int)


def _forest(model: treelite.Model, folder: Path, input_type: str) -> gtil.Forest:
    model.serialize(folder / "trees.bin")
    return gtil.Forest(folder / "trees.bin", input_type, 1)


def _served(model: models.Model) -> Callable[[Array], Array]:
    wanted = frozenset({models.PREDICTION})
    return lambda table: model.predict({models.TABLE: table}, wanted, {})[models.PREDICTION]


def _cases(folder: Path) -> dict[str, tuple[Callable[[Array], Array], gtil.Forest, "np.dtype[Any]"]]:
    """The library's own way through the runtime's adapter, Treelite's, and what Treelite computes with."""
    table, labels = _data()
    boosted = xgboost.train(
        {"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(table, labels), _TREES
    )
    boosted.save_model(folder / "model.json")
    trees = lightgbm.train(
        {"verbose": -1, "objective": "binary", "num_threads": 1}, lightgbm.Dataset(table, labels), _TREES
    )
    trees.save_model(folder / "model.txt")
    forest = RandomForestClassifier(_TREES, random_state=0, n_jobs=1).fit(table, labels)
    return {
        "XGBoost's file": (
            _served(xgboost_format.load(folder / "model.json")),
            _forest(treelite.frontend.load_xgboost_model(folder / "model.json"), folder, "float32"),
            np.dtype(np.float32),
        ),
        "LightGBM's file": (
            _served(lightgbm_format.load(folder / "model.txt")),
            _forest(treelite.frontend.load_lightgbm_model(folder / "model.txt"), folder, "float64"),
            np.dtype(np.float64),
        ),
        "scikit-learn's forest": (
            lambda rows: np.asarray(forest.predict_proba(rows)),
            _forest(treelite.sklearn.import_model(forest), folder, "float64"),
            np.dtype(np.float64),
        ),
    }


def _seconds(ways: Sequence[Callable[[], object]]) -> list[float]:
    """The median of each way, taken in turns."""
    found: list[list[float]] = [[] for _ in ways]
    for _ in range(_ROUNDS):
        for times, way in zip(found, ways, strict=True):
            way()
            started = time.perf_counter()
            way()
            times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in found]


def main() -> None:
    """Prints how many times as fast as the library Treelite is, and what of its time goes into making its input."""
    table, _ = _data()
    print(f"{'model':24}{'rows':>6}{'Treelite is … times as fast':>30}{'of it copying':>16}")
    with tempfile.TemporaryDirectory() as folder:
        for name, (library, forest, dtype) in _cases(Path(folder)).items():
            for rows in ROWS:
                given = np.ascontiguousarray(table[:rows])
                own, theirs, copying = _seconds(
                    (
                        lambda one=library, given=given: one(given),  # type: ignore[misc]
                        lambda one=forest, given=given: one.predict(given),  # type: ignore[misc]
                        lambda dtype=dtype, given=given: np.array(given, dtype=dtype),  # type: ignore[misc]
                    )
                )
                print(f"{name:24}{rows:>6}{own / theirs:>30.2f}{copying / theirs:>16.1%}")


if __name__ == "__main__":
    main()
