"""What single opcodes of a pickle cost, and why some are never taken.

`machine` asks. Pure.
"""

import pickle

from modelyard_runtime.formats.pickles import refusal

# Bytes that the real unpickler needs for one opcode, as measured with CPython 3.11: the object, its place on the stack,
# its share of a growing container and of the memo.
_COSTS = {
    pickle.MARK: 80, pickle.EMPTY_LIST: 80, pickle.EMPTY_DICT: 96, pickle.EMPTY_SET: 240, pickle.FROZENSET: 240,
    pickle.LIST: 80, pickle.DICT: 96, pickle.TUPLE: 64, pickle.TUPLE1: 64, pickle.TUPLE2: 72, pickle.TUPLE3: 80,
    pickle.NEWOBJ: 200, pickle.REDUCE: 200, pickle.BUILD: 200, pickle.MEMOIZE: 80, pickle.BINPUT: 80,
    pickle.LONG_BINPUT: 80, pickle.PUT: 80, pickle.SETITEM: 100, pickle.SHORT_BINUNICODE: 64, pickle.BINUNICODE: 64,
    pickle.UNICODE: 64, pickle.BINFLOAT: 32, pickle.FLOAT: 32, pickle.APPEND: 16,
}  # fmt: skip
_DEFAULT_COST = 40


def cost_of(opcode: bytes) -> int:
    """Gives how many bytes loading needs for an opcode at most, those of its text or bytes aside."""
    return _COSTS.get(opcode, _DEFAULT_COST)


# What an opcode that is refused would have done.
_UNKNOWN = {
    pickle.PERSID: "a persistent id", pickle.BINPERSID: "a persistent id", pickle.EXT1: "the extension registry",
    pickle.EXT2: "the extension registry", pickle.EXT4: "the extension registry", pickle.INST: "an old-style class",
    pickle.OBJ: "an old-style class", pickle.NEXT_BUFFER: "a buffer outside of the file",
    pickle.READONLY_BUFFER: "a buffer outside of the file", pickle.NEWOBJ_EX: "arguments by name",
    pickle.STRING: "text of Python 2", pickle.BINSTRING: "text of Python 2", pickle.SHORT_BINSTRING: "text of Python 2",
    pickle.PROTO: "a second protocol", pickle.DUP: "a copy of the top of the stack",
}  # fmt: skip


def failure_of(opcode: bytes, is_first: bool) -> Exception:
    """Gives what is wrong with an opcode that `machine` has no step for; `is_first` says that nothing was read yet."""
    if not opcode:
        return refusal.Damaged("it ends early")
    # What begins with one of them is another kind of file: a ZIP archive begins with P.
    if opcode in _UNKNOWN and not is_first:
        return refusal.Refused(f"it uses {_UNKNOWN[opcode]}, which is not allowed")
    return refusal.Damaged(f"its opcode {opcode!r} is unknown")
