"""What an object may be told about itself: the state that a pickle gives it after it was made.

`machine` asks for every BUILD. The state of a Python object becomes its attributes, so it must be a dictionary whose
keys are all known, and none of them one that Python itself asks an object for: with `__setstate__` among them, the next
BUILD would call what the file chose. Pure.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from modelyard_runtime.formats.pickles import dtypes, names, refusal, symbols

_JOBLIB = "joblib.numpy_pickle"
_TEXT_VECTORIZERS = "sklearn.feature_extraction.text"
_ARRAY_CLASSES = frozenset({"numpy.ndarray", "numpy.matrix", "numpy.memmap"})


class Wrapped(NamedTuple):
    """The array whose bytes follow in a joblib file."""

    size: int
    has_objects: bool
    is_padded: bool


def is_array_class(value: symbols.Symbol) -> bool:
    """Says whether a symbol is a class of arrays, which joblib writes beside the array's shape."""
    return type(value) is symbols.Name and value.full in _ARRAY_CLASSES


def build(target: symbols.Symbol, state: symbols.Symbol) -> Wrapped | None:
    """Takes a state for an object; gives what follows in the file when it is joblib's array. Raises `Refused`."""
    kind = type(target)
    if kind is symbols.Dtype:
        dtypes.build(target, state)
        return None
    if kind not in (symbols.Made, symbols.Array, symbols.Partial) or target.is_built:
        raise refusal.Refused("it gives a state to something that takes none")
    target.is_built = True
    if kind is symbols.Array:
        _build_array(target, state)
    elif kind is symbols.Partial:
        _build_partial(target, state)
    elif target.name.module == _JOBLIB:
        return _build_wrapper(state)
    elif names.Use.MAKE in target.name.rule.use:
        _build_object(target.name, state)
    elif _is_loose(state):
        raise refusal.Refused(f"the state of {target.name.full} holds a class or a constructor")
    return None


def _is_loose(state: symbols.Symbol) -> bool:
    if type(state) is symbols.Fields:
        state.is_shared = True
    return type(state) is symbols.Name or (type(state) in (symbols.Row, symbols.Fields) and state.is_loose)


def _build_object(name: symbols.Name, state: symbols.Symbol) -> None:
    if name.module.startswith("pandas.") and type(state) is symbols.Row and not state.is_loose:
        return  # a manager of columns, in Cython
    if type(state) is not symbols.Fields or _is_loose(state) or state.has_others:
        raise refusal.Refused(f"the state of {name.full} is no dictionary of its attributes")
    for key in state.entries:
        if key.startswith("__"):
            raise refusal.Refused(f"the attribute {refusal.shown(key)} of {name.full} is not allowed")
    for attribute, (modules, test) in _ATTRIBUTES.items():
        if (
            name.module.startswith(modules)
            and attribute in state.entries
            and not test(state.entries[attribute])
        ):
            raise refusal.Refused(
                f"the attribute {attribute} of {name.full} is not allowed to have this value"
            )
    if name.full in _NEEDED and _NEEDED[name.full] not in state.entries:
        raise refusal.Refused(f"{name.full} is without its {_NEEDED[name.full]}")


def _is_text(value: symbols.Symbol) -> bool:
    return type(value) is str or value is symbols.LONG_TEXT


# Attributes that decide what an object does with the outside: which classes have them, and what they may be.
_ATTRIBUTES: Mapping[str, tuple[str, Callable[[symbols.Symbol], bool]]] = {
    # A vectorizer with input="filename" opens what a request names.
    "input": (_TEXT_VECTORIZERS, lambda value: value == "content"),
    # Boosters make these into their own memory again; with a number in its place they would free that address.
    "handle": ("xgboost.core", lambda value: type(value) is symbols.Blob),
    "_handle": ("lightgbm.basic", _is_text),
}
_NEEDED = {"xgboost.core.Booster": "handle", "lightgbm.basic.Booster": "_handle"}


def _build_array(array: symbols.Array, state: symbols.Symbol) -> None:
    length = 7 if array.is_masked else 5
    if type(state) is not symbols.Row or len(state.items) != length or state.is_loose:
        raise refusal.Refused("the state of an array is not NumPy's")
    _, shape, dtype, _, content, *rest = state.items
    count = dtypes.count_of(shape)
    if type(dtype) is not symbols.Dtype:
        raise refusal.Refused("the state of an array is not NumPy's")
    # NumPy makes room for all elements before it looks at how many there are.
    is_whole = type(content) is symbols.Blob
    if dtype.has_objects:
        is_whole = type(content) is symbols.Items and content.count == count
    if not is_whole or (rest and type(rest[0]) is not symbols.Blob):
        raise refusal.Refused("an array has other content than its shape says")


def _build_partial(partial: symbols.Partial, state: symbols.Symbol) -> None:
    items = state.items if type(state) is symbols.Row and not state.is_loose else ()
    is_known = len(items) == 4 and items[0] is partial.function and type(items[2]) is symbols.Fields
    if not is_known or type(items[1]) is not symbols.Row or items[1].items or items[3] is not None:
        raise refusal.Refused("functools.partial is not allowed with such a state")
    if items[2].has_others or not items[2].entries.keys() <= {
        "dtype",
        "ensure_all_finite",
        "force_all_finite",
    }:
        raise refusal.Refused("functools.partial is not allowed with such a state")


def _build_wrapper(state: symbols.Symbol) -> Wrapped:
    if type(state) is not symbols.Fields or state.has_others:
        raise refusal.Refused("the state of a joblib array is not joblib's")
    known = state.entries
    dtype, padding = known.get("dtype"), known.get("numpy_array_alignment_bytes")
    is_right = (
        is_array_class(known.get("subclass"))
        and type(known.get("shape")) is symbols.Row
        and known.get("order") in ("C", "F")
        and type(dtype) is symbols.Dtype
        and dtype.size > 0
        and padding in (None, 16)
        and not any(key.startswith("__") for key in known)
    )
    state.is_shared = True
    if not is_right or dtype is None:
        raise refusal.Refused("the state of a joblib array is not joblib's")
    size = dtypes.count_of(known["shape"]) * dtype.size
    return Wrapped(size, dtype.has_objects, padding is not None and not dtype.has_objects)
