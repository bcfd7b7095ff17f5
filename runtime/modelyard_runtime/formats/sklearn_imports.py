"""scikit-learn without the half of its imports that training needs and a prediction hardly ever does.

Called by `adapters` before anything imports scikit-learn. Its modules import pandas and most of SciPy at their
top, which is half of the time and of the memory of a start. Here each such name becomes a stand-in, which imports the
real thing when it is first used: warm-up does that for a model whose predictions need it. Whoever else imports the same
library gets the real one, and so does an import within a function. It must never change what a name does, only when it
is imported.
"""

import builtins
import functools
import importlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

_IMPORTER = "sklearn"
# What scikit-learn uses within functions only. Not scipy.sparse, scipy.linalg and scipy.special: its compiled modules
# import them anyway.
_OF_SCIPY = ("datasets", "fft", "integrate", "interpolate", "io", "optimize", "spatial", "stats")
LATE = frozenset({"pandas", *(f"scipy.{name}" for name in _OF_SCIPY)})
# Asked for one by one by SciPy and scikit-learn, which copy all of NumPy's namespace and use neither.
_NUMPY_LATE = ("f2py", "testing")
_import = builtins.__import__


class Late:
    """Stands for a module, or for a name in one, until it is used."""

    __slots__ = ("_module", "_name", "_real")

    def __init__(self, module: str, name: str | None = None) -> None:
        self._module = module
        self._name = name
        self._real: Any = None

    def real(self) -> Any:
        """Gives what this stands for, imported now where nobody has done so yet."""
        if self._real is None:
            module = importlib.import_module(self._module)
            self._real = module if self._name is None else getattr(module, self._name)
        return self._real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real(), name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Calls the real thing."""
        return self.real()(*arguments, **named)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.real())

    def __subclasscheck__(self, kind: type) -> bool:
        return issubclass(kind, self.real())

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        # A class that is derived from it when its module runs: no version of scikit-learn that we know has one.
        return (self.real(),)


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs a module whose own `import` statements are `_import_late`'s."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Runs the module."""
        # Python takes `__import__` from here for the statements of this module, and of no other.
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import_late}
        super().exec_module(module)


class _Finder:
    """Finds scikit-learn's modules, for `_Loader`."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Gives the usual spec of a module of scikit-learn that is written in Python; None for all others."""
        if name.partition(".")[0] != _IMPORTER:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def defer() -> None:
    """Lets scikit-learn import late what it can do without, from now on in this process."""
    if _Finder in sys.meta_path:
        return
    sys.meta_path.insert(0, _Finder)
    numpy = importlib.import_module("numpy")
    for name in _NUMPY_LATE:
        if f"numpy.{name}" not in sys.modules:
            setattr(numpy, name, Late(f"numpy.{name}"))


def _import_late(
    name: str,
    globals: Mapping[str, object] | None = None,  # noqa: A002 - the names are Python's
    locals: Mapping[str, object] | None = None,  # noqa: A002
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """Gives what an import statement of scikit-learn gets; within a function that is the real thing."""
    names = tuple(fromlist or ())
    if level or locals is not globals or "*" in names:
        return _import(name, globals, locals, names, level)
    if _is_late(name):
        if names:
            return types.SimpleNamespace(**{one: Late(name, one) for one in names})
        package, _, part = name.partition(".")
        # SciPy imports its parts itself when they are asked for.
        return importlib.import_module(package) if part else Late(name)
    late = {one: Late(f"{name}.{one}") for one in names if _is_late(f"{name}.{one}")}
    if not late:
        return _import(name, globals, locals, names, level)
    others = tuple(one for one in names if one not in late)
    module = _import(name, globals, locals, others, level) if others else None
    return types.SimpleNamespace(**late, **{one: getattr(module, one) for one in others})


def _is_late(name: str) -> bool:
    """Says whether a stand-in does for a module: it is one of `LATE` or in one, and nobody has imported it."""
    family = ".".join(name.split(".")[:2])
    return (
        (name in LATE or family in LATE) and name not in sys.modules and _is_installed(name.partition(".")[0])
    )


@functools.cache
def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
