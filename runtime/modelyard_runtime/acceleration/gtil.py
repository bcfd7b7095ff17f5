"""Treelite's General Tree Inference Library, called through its C API.

Called by `acceleration.trees`. Treelite's Python package imports SciPy and builds a configuration anew in each call: a
second of start-up and two thirds of the time of a row. The three functions used here are in its public header,
`treelite/c_api.h`; the lock file holds the version. It must never be handed an array that is not C-contiguous.
"""

import ctypes
import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_MANY_ROWS = 64


class Forest:
    """A model file of Treelite, loaded; safe to call from several threads, and after a fork."""

    def __init__(self, file: Path, input_type: str, threads: int) -> None:
        """Loads the file; raises `OSError` with Treelite's words when it can't be read."""
        library = _library()
        self._model = ctypes.c_void_p()
        _check(
            library, library.TreeliteDeserializeModelFromFile(str(file).encode(), ctypes.byref(self._model))
        )
        self._dtype = np.dtype(input_type)
        self._type_name = input_type.encode()
        kinds = ("default", "raw")
        self._configs = {kind: _config(library, kind, 1) for kind in kinds}
        # Waking other threads takes longer than a few rows do.
        self._shared = (
            {kind: _config(library, kind, threads) for kind in kinds} if threads > 1 else self._configs
        )
        self._tails = {kind: self._tail(library, config) for kind, config in self._configs.items()}
        self._predict = library.TreeliteGTILPredict
        self._library = library

    def predict(self, table: Array, kind: str = "default") -> Array:
        """Gives rows by outputs of `kind`: "default" after the model's own link function, "raw" before it."""
        rows = table.shape[0]
        given = np.ascontiguousarray(table, dtype=self._dtype)
        result = np.zeros((rows, *self._tails[kind]), dtype=self._dtype)
        config = (self._configs if rows < _MANY_ROWS else self._shared)[kind]
        code = self._predict(
            self._model, given.ctypes.data, self._type_name, rows, result.ctypes.data, config
        )
        if code:
            _check(self._library, code)
        return result

    def _tail(self, library: ctypes.CDLL, config: ctypes.c_void_p) -> tuple[int, ...]:
        """Gives the sizes of a result after its first."""
        shape = ctypes.POINTER(ctypes.c_uint64)()
        dimensions = ctypes.c_uint64()
        code = library.TreeliteGTILGetOutputShape(
            self._model, 1, config, ctypes.byref(shape), ctypes.byref(dimensions)
        )
        _check(library, code)
        return tuple(int(shape[index]) for index in range(1, dimensions.value))


def _config(library: ctypes.CDLL, kind: str, threads: int) -> ctypes.c_void_p:
    config = ctypes.c_void_p()
    text = json.dumps({"predict_type": kind, "nthread": threads}).encode()
    _check(library, library.TreeliteGTILParseConfig(text, ctypes.byref(config)))
    return config


def _check(library: ctypes.CDLL, code: int) -> None:
    if code:
        raise OSError(f"Treelite: {library.TreeliteGetLastError().decode(errors='replace')[:300]}")


@functools.cache
def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("treelite")
    if spec is None or not spec.submodule_search_locations:
        raise OSError("Treelite is not in this image")
    library = ctypes.CDLL(str(Path(spec.submodule_search_locations[0]) / "lib" / "libtreelite.so"))
    library.TreeliteGetLastError.restype = ctypes.c_char_p
    handle, count = ctypes.c_void_p, ctypes.c_uint64
    library.TreeliteGTILPredict.argtypes = [handle, handle, ctypes.c_char_p, count, handle, handle]
    library.TreeliteGTILGetOutputShape.argtypes = [handle, count, handle, handle, handle]
    return library
