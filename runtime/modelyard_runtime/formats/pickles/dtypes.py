"""NumPy's dtypes in a pickle: their code and their state, taken only when the two agree.

NumPy believes what a dtype's state says of its size, its fields and whether they are pointers to objects. A state that
lies makes numbers of a file into addresses, so every part is compared with what NumPy itself writes. `construction` and
`states` call this. Pure.
"""

import math
import re
from collections.abc import Sequence

from modelyard_runtime.formats.pickles import refusal, symbols

_CODE = re.compile(r"(?:b1|[iu][1248]|f(?:2|4|8|16)|c(?:8|16|32)|O8?|[SUV]\d{1,7}|[mM]8)", re.ASCII)
_ORDERS = ("<", ">", "=", "|")
_ALIGNED = 128
_WITH_FIELDS = 16  # NumPy's flag of dtypes whose elements are read by a function of their own
_NUMBER_STATE = 8
_MAX_BYTES = 2**24  # of one element


def parse(arguments: Sequence[symbols.Symbol]) -> symbols.Dtype:
    """Gives the dtype of `numpy.dtype(code, align, copy)`; raises `Refused`."""
    if len(arguments) != 3 or type(arguments[0]) is not str or not _CODE.fullmatch(arguments[0]):
        raise _refused()
    # Without a copy it would be NumPy's own, and a state would change it for everybody.
    if arguments[2] not in (True, 1) or arguments[1] not in (False, True):
        raise _refused()
    code = arguments[0]
    size = 8 if code == "O" else int(code[1:])
    size *= 4 if code[0] == "U" else 1
    if size > _MAX_BYTES:
        raise _refused()
    return symbols.Dtype(code[0], size)


def build(dtype: symbols.Dtype, state: symbols.Symbol) -> None:
    """Completes a dtype by its state; raises `Refused` for one that NumPy doesn't write."""
    if type(state) is not symbols.Row or state.is_loose or len(state.items) < _NUMBER_STATE or dtype.is_built:
        raise _refused()
    version, order, inner, listed, fields, size, alignment, flags, *rest = state.items
    if order not in _ORDERS or not all(type(one) is int for one in (version, size, alignment, flags)):
        raise _refused()
    if rest and not (len(rest) == 1 and version == 4 and (dtype.code in "mM" or _is_empty(rest[0]))):
        raise _refused()
    if listed is None and inner is None:
        _check_plain(dtype, size, alignment, flags)
    elif dtype.code != "V" or size != dtype.size or not 0 < alignment <= 16:
        raise _refused()
    elif listed is None:
        _check_inner(dtype, inner, flags)
    else:
        _check_fields(dtype, listed, fields, flags)
    dtype.is_built = True


def _is_empty(value: symbols.Symbol) -> bool:
    return value is None or (type(value) is symbols.Fields and not value.entries and not value.has_others)


def _check_plain(dtype: symbols.Dtype, size: int, alignment: int, flags: int) -> None:
    if dtype.code in "SUV":
        is_right = size in (dtype.size, -1) and alignment in (1, 4, -1) and flags in (0, 8)
    else:
        is_right = size == alignment == -1 and flags == (63 if dtype.has_objects else 0)
    if not is_right:
        raise _refused()


def _check_inner(dtype: symbols.Dtype, inner: symbols.Symbol, flags: int) -> None:
    if type(inner) is not symbols.Row or len(inner.items) != 2 or flags != 0:
        raise _refused()
    base, shape = inner.items
    if type(base) is not symbols.Dtype or base.has_objects or base.size * count_of(shape) != dtype.size:
        raise _refused()


def _check_fields(dtype: symbols.Dtype, listed: symbols.Symbol, fields: symbols.Symbol, flags: int) -> None:
    if type(listed) is not symbols.Row or type(fields) is not symbols.Fields or fields.has_others:
        raise _refused()
    if flags & 0xFF not in (_WITH_FIELDS, _WITH_FIELDS | _ALIGNED) or not set(map(type, listed.items)) <= {
        str
    }:
        raise _refused()
    if not set(listed.items) <= fields.entries.keys():
        raise _refused()
    for one in fields.entries.values():
        if type(one) is not symbols.Row or len(one.items) not in (2, 3):
            raise _refused()
        base, offset = one.items[:2]
        if type(base) is not symbols.Dtype or base.has_objects or type(offset) is not int:
            raise _refused()
        if not 0 <= offset <= dtype.size - base.size:
            raise _refused()


def count_of(shape: symbols.Symbol) -> int:
    """Gives how many elements an array of a shape has; raises `Refused` for what is no shape."""
    sizes = shape.items if type(shape) is symbols.Row else (shape,)
    if not all(type(size) is int and size >= 0 for size in sizes) or len(sizes) > 64:
        raise refusal.Refused("the shape of an array is none")
    return math.prod(sizes)


def _refused() -> refusal.Refused:
    return refusal.Refused("a dtype of NumPy is described as NumPy doesn't describe it")
