"""Loads a pickle or joblib file through the list: first its opcodes, then what they name, and only then its objects.

Called by `formats.sklearn` for files that the pickle rule wants checked. All three steps read the same open file; the
last one can look up nothing but what the first two have let pass.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib.numpy_pickle

from modelyard_runtime.formats.pickles import machine, refusal, resolution, rule, stream

_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_Found = Mapping[tuple[str, str], Any]


def load(file: Path) -> Any:
    """Gives the object in a file; raises `StartFailure` (PickleRefused), `Damaged`, and what unpickling raises."""
    try:
        with stream.Stream(file) as opened:
            checked = machine.Machine(opened)
            checked.check()
            found = resolution.resolve(checked.names)
            opened.rewind()
            return _unpickle(opened.handle, found)
    except refusal.Refused as error:
        raise rule.refused(_message(file.name, str(error))) from error


def _unpickle(handle: Any, found: _Found) -> Any:
    if _WRAPPER in found:
        return _JoblibUnpickler(handle, found).load()
    # Python's unpickler in C, which can't read joblib's arrays between the opcodes, takes a tenth of the time.
    return _PlainUnpickler(handle, found).load()


class _PlainUnpickler(pickle.Unpickler):
    """Python's unpickler, which finds nothing but what was checked."""

    def __init__(self, handle: Any, found: _Found) -> None:
        super().__init__(handle)
        self._found = found

    def find_class(self, module: str, name: str) -> Any:
        return _look_up(self._found, module, name)


class _JoblibUnpickler(joblib.numpy_pickle.NumpyUnpickler):  # type: ignore[misc]
    """joblib's unpickler, which finds nothing but what was checked, in the pickles within the file too."""

    def __init__(self, handle: Any, found: _Found) -> None:
        super().__init__("", handle, ensure_native_byte_order=True)
        self._found = found

    def find_class(self, module: str, name: str) -> Any:
        return _look_up(self._found, module, name)


def _look_up(found: _Found, module: str, name: str) -> Any:
    if (module, name) not in found:
        raise refusal.Refused(f"{refusal.shown(module)}.{refusal.shown(name)} is not allowed")
    return found[module, name]


def _message(name: str, problem: str) -> str:
    return (
        f"the artifact {name!r} is a pickle that is refused, and nothing of it was run: {problem}; the pickle rule "
        "Restricted lets through what consists of the estimators and data of scikit-learn, NumPy, SciPy, pandas, "
        "XGBoost and LightGBM; save such a model, or in another format (docs/formats.md), or pin this file by "
        "spec.model.digest if you trust who made it"
    )
