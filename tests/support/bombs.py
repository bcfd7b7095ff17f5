"""Model files that are made to do harm: small on disk, without end or measure in memory or time when they are loaded.

`tests/integration/runtime/test_bombs.py` hands each to the real `prepare`. Everything is made here, by script, from
models that are trained or written on the spot: no such file lies in the repository.
"""

from collections.abc import Callable
from pathlib import Path

from onnx import helper
from sklearn import ensemble

from tests.support import bombs_onnx, bombs_pickles, bombs_trees

# Writes the bomb and gives its path.
Make = Callable[[Path], Path]


def _cut(make: Make, share: float) -> Make:
    def cut(folder: Path) -> Path:
        file = make(folder)
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * share)])
        return file

    return cut


GOOD: dict[str, Make] = {
    "ONNX": bombs_onnx.model([helper.make_node("Add", ["x", "x"], ["y"])]),
    "XGBoost": bombs_trees.xgboost_model(lambda _learner: None),
    "LightGBM": bombs_trees.lightgbm_model(),
    "scikit-learn": bombs_pickles.dumped(
        ensemble.RandomForestRegressor(20, random_state=0).fit(bombs_trees.ROWS, bombs_trees.ROWS[:, 0])
    ),
}
_CUT: dict[str, Make] = {
    f"{name}, cut at {share:.0%}": _cut(make, share) for name, make in GOOD.items() for share in (0.3, 0.9)
}
ALL: dict[str, Make] = {
    f"{family}: {name}": make
    for family, bombs in (
        ("ONNX", bombs_onnx.BOMBS), ("XGBoost", bombs_trees.XGBOOST), ("LightGBM", bombs_trees.LIGHTGBM),
        ("scikit-learn", bombs_pickles.SKLEARN), ("skops", bombs_pickles.SKOPS), ("cut off", _CUT),
    )
    for name, make in bombs.items()
}  # fmt: skip
