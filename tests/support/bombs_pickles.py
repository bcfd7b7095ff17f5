"""Bombs in pickles, joblib's and skops' files: for `tests.support.bombs`, which collects them."""

import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import joblib.numpy_pickle
import numpy as np
import skops.io
from sklearn import kernel_approximation, linear_model, pipeline, tree

# Writes the bomb and gives its path.
Make = Callable[[Path], Path]
_ROWS = np.random.default_rng(0).normal(size=(200, 4))


def _text(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def dumped(estimator: object, compress: int = 0) -> Make:
    def make(folder: Path) -> Path:
        joblib.dump(estimator, folder / "model.joblib", compress=compress)
        return folder / "model.joblib"

    return make


def _tree(change: Callable[[Any], object]) -> Make:
    """A fitted decision tree, whose nodes are changed."""

    def make(folder: Path) -> Path:
        fitted = tree.DecisionTreeRegressor(max_depth=3).fit(_ROWS, _ROWS[:, 0])
        state = fitted.tree_.__getstate__()
        change(state["nodes"])
        fitted.tree_.__setstate__(state)
        return dumped(fitted)(folder)

    return make


def _nodes(field: str, value: int) -> Callable[[Any], object]:
    def change(nodes: Any) -> None:
        nodes[field][0] = value

    return change


def _sketch() -> Make:
    """A transformer that has been told, after it was fitted, to make 10^8 columns: half a kilobyte more or less."""
    fitted = pipeline.make_pipeline(
        kernel_approximation.PolynomialCountSketch(n_components=4, random_state=0),
        linear_model.LinearRegression(),
    ).fit(_ROWS, _ROWS[:, 0])
    fitted.steps[0][1].n_components = 10**8
    return dumped(fitted)


def _hollow(shape: tuple[int, ...]) -> Make:
    """A joblib file that promises an array and holds none of it."""

    def make(folder: Path) -> Path:
        model = linear_model.LinearRegression().fit(_ROWS, _ROWS[:, 0])
        model.coef_ = joblib.numpy_pickle.NumpyArrayWrapper(np.ndarray, shape, "C", np.dtype(np.float64))
        content = pickle.dumps(model)
        (folder / "model.joblib").write_bytes(content)
        return folder / "model.joblib"

    return make


def _zeros(compress: int) -> Make:
    """Half a gigabyte of zeros, in half a megabyte."""

    def make(folder: Path) -> Path:
        model = linear_model.LinearRegression().fit(_ROWS, _ROWS[:, 0])
        model.coef_ = np.zeros(64 * 1024**2)
        return dumped(model, compress)(folder)

    return make


def _skops() -> Make:
    def make(folder: Path) -> Path:
        model = linear_model.LinearRegression().fit(_ROWS, _ROWS[:, 0])
        model.coef_ = np.zeros(64 * 1024**2)
        skops.io.dump(model, folder / "model.skops", compression=zipfile.ZIP_DEFLATED)
        return folder / "model.skops"

    return make


SKLEARN: dict[str, Make] = {
    "bytes of 2^60": _text("model.pkl", b"\x80\x04\x8e" + (2**60).to_bytes(8, "little") + b"x."),
    "a text of 2^60": _text("model.pkl", b"\x80\x04\x8d" + (2**60).to_bytes(8, "little") + b"x."),
    "a frame of 2^60": _text("model.pkl", b"\x80\x04\x95" + (2**60).to_bytes(8, "little") + b"N."),
    "a memo of 2^31": _text("model.pkl", b"\x80\x04Nr\xff\xff\xff\x7f."),
    "an array of 800 GB that is not there": _hollow((10**11,)),
    "an array of a size that overflows": _hollow((2**40, 2**40)),
    "half a gigabyte of zeros, compressed": _zeros(compress=9),
    "a tree whose root is its own child": _tree(_nodes("left_child", 0)),
    "a tree with a node that is far away": _tree(_nodes("left_child", 2**40)),
    "a tree with a feature that is far away": _tree(_nodes("feature", 2**40)),
    "a transformer to 10^8 columns": _sketch(),
    "zlib within zlib": _text("model.pkl", zlib.compress(zlib.compress(b"\0" * 10**8))),
}
SKOPS: dict[str, Make] = {"half a gigabyte of zeros": _skops()}
