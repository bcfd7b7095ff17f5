"""Imports what a checked pickle names, and makes sure that it is what the list supposes.

`loader` calls it between the check of the opcodes and the unpickling, with names that `names.rule_of` let pass: only
modules of the libraries on the list are imported. A class that merely looks like an estimator's is refused here, before
any object is made.
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import sklearn.base

from modelyard_runtime.formats.pickles import names, refusal, symbols


def resolve(found: Mapping[tuple[str, str], symbols.Name]) -> dict[tuple[str, str], Any]:
    """Gives the object behind each name, under the names that the file has for it; raises `Refused`, ImportError."""
    return {key: _import(name) for key, name in found.items()}


def _import(name: symbols.Name) -> Any:
    imported = getattr(importlib.import_module(name.module), name.name)
    if not _is_of(name.rule.kind, imported, name):
        raise refusal.Refused(f"{name.full} is not allowed")
    return imported


def _is_of(kind: names.Kind, imported: Any, name: symbols.Name) -> bool:
    if kind is names.Kind.ANY:
        return True
    if kind is names.Kind.FUNCTION:
        return inspect.isfunction(imported) and imported.__module__ == name.module
    if not isinstance(imported, type):
        return False
    if kind is names.Kind.CLASS:
        return imported.__module__.partition(".")[0] == name.module.partition(".")[0]
    return issubclass(imported, sklearn.base.BaseEstimator) and imported.__module__ == name.module
