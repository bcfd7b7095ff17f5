"""Every model format: its name for people, the module that serves it, the libraries that module needs.

The one table that detection, loading and the messages of both read. An image serves a format when the libraries are in
it; asking for them must never import them, since an import costs seconds. A new format is one row here, one module with
`load(path, options) -> Model`, and one word in `variables.FORMATS`.
"""

import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path

import msgspec

from modelyard_runtime import errors


class Format(msgspec.Struct, frozen=True):
    """One format. The names tell it where the content says nothing better.

    A file that ends in one of `suffixes` is meant to be of this format; in a folder, one of `folder_names` may be the
    model, too. `folder_marks` are files that make the folder they are in a model of this format, as a whole.
    """

    title: str
    module: str
    libraries: tuple[str, ...]
    suffixes: tuple[str, ...] = ()
    folder_names: tuple[str, ...] = ()
    folder_marks: tuple[str, ...] = ()


_PACKAGE = "modelyard_runtime.formats"

FORMATS: Mapping[str, Format] = {
    "sklearn": Format(
        "a scikit-learn model (joblib or pickle)",
        f"{_PACKAGE}.sklearn",
        ("sklearn", "joblib", "pandas"),
        (".joblib", ".pkl", ".pickle"),
    ),
    "skops": Format("a skops model", f"{_PACKAGE}.skops", ("skops", "sklearn", "pandas"), (".skops",)),
    "onnx": Format("an ONNX model", f"{_PACKAGE}.onnx", ("onnxruntime",), (".onnx",)),
    "xgboost": Format("an XGBoost model", f"{_PACKAGE}.xgboost", ("xgboost",), (".ubj",), ("model.json",)),
    "lightgbm": Format("a LightGBM model", f"{_PACKAGE}.lightgbm", ("lightgbm",), (), ("model.txt",)),
    "catboost": Format("a CatBoost model", f"{_PACKAGE}.catboost", ("catboost",), (".cbm",)),
    "torch": Format("a PyTorch model", f"{_PACKAGE}.torch", ("torch",), (".pt2", ".pt")),
    "keras": Format("a Keras model", f"{_PACKAGE}.keras", ("keras",), (".keras",)),
    "mlflow": Format("an MLflow model folder", f"{_PACKAGE}.mlflow", ("yaml",), folder_marks=("MLmodel",)),
    "custom": Format("a model with code of its own", f"{_PACKAGE}.custom", (), folder_marks=("model.py",)),
}

# In a folder, the file to load is called like this. The first that exists is taken.
FILE_NAMES = tuple(
    name
    for one in FORMATS.values()
    for name in (*(f"model{suffix}" for suffix in one.suffixes), *one.folder_names)
)


def by_suffix(name: str) -> str | None:
    """Gives the format whose files are called like this, or None."""
    suffix = Path(name).suffix.lower()
    return next((key for key, one in FORMATS.items() if suffix in one.suffixes), None)


@functools.cache
def served() -> tuple[str, ...]:
    """Gives the formats whose adapter and libraries are in this image."""
    return tuple(name for name, one in FORMATS.items() if not _lacking(one))


def require_served(model_format: str) -> None:
    """Raises `StartFailure` (FormatUnknown) when this image can't serve a format."""
    one = FORMATS[model_format]
    lacking = _lacking(one)
    if lacking:
        raise errors.StartFailure(
            errors.Reason.FORMAT_UNKNOWN,
            f"the artifact is {one.title}, and this runtime image lacks {', '.join(lacking)}: it serves "
            f"{', '.join(served())}; choose a runtime class whose image serves {model_format} (spec.runtime.class)",
        )


def _lacking(one: Format) -> list[str]:
    return [module for module in (*one.libraries, one.module) if importlib.util.find_spec(module) is None]
