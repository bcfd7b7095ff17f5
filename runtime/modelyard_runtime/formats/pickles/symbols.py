"""What stands for an object while a pickle is read without making any.

`machine` puts these on its stack, `construction` and `states` judge them. Short texts, small whole numbers, booleans
and None stand for themselves; everything else is one of the classes here, and none of them can do anything. Pure.
"""

from typing import Any, Final

from modelyard_runtime.formats.pickles import names

# An object on the stack: one of the below, or a str, int, bool or None.
Symbol = Any


class Opaque:
    """A value that nothing is asked about: a fraction, a long text, a long number."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what


FRACTION: Final = Opaque("number")
LONG_TEXT: Final = Opaque("text")
LONG_NUMBER: Final = Opaque("long number")
# A NumPy scalar; it may be a text that equals any other, so it never stands where one is compared.
SCALAR: Final = Opaque("NumPy scalar")


class Blob:
    """Bytes or a bytearray."""

    __slots__ = ()


BLOB: Final = Blob()


class Name:
    """A global that was named, with what may be done with it."""

    __slots__ = ("module", "name", "rule")

    def __init__(self, module: str, name: str, rule: names.Rule) -> None:
        self.module = module
        self.name = name
        self.rule = rule

    @property
    def full(self) -> str:
        """The name as people write it."""
        return f"{self.module}.{self.name}"


class Made:
    """An object of an allowed class, or what an allowed constructor gave."""

    __slots__ = ("is_built", "name")

    def __init__(self, name: Name) -> None:
        self.name = name
        self.is_built = False


class Items:
    """A list or a set; only how many items it has is known."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Fields:
    """A dictionary: its entries under short texts, as long as they are few.

    `is_loose` says that it holds a class that may stand nowhere but in the state of a joblib array; `is_shared` that
    something holds the dictionary already, so that it can't become loose any more.
    """

    __slots__ = ("entries", "has_others", "is_loose", "is_shared")

    def __init__(self) -> None:
        self.entries: dict[str, Symbol] = {}
        self.has_others = False
        self.is_loose = False
        self.is_shared = False


class Row:
    """A tuple. `is_loose` says that it holds a class or constructor that may be an argument and nothing else."""

    __slots__ = ("depth", "is_loose", "items")

    def __init__(self, items: tuple[Symbol, ...], is_loose: bool, depth: int) -> None:
        self.items = items
        self.is_loose = is_loose
        self.depth = depth


class Array:
    """A NumPy array that still waits for its state."""

    __slots__ = ("is_built", "is_masked")

    def __init__(self, is_masked: bool = False) -> None:
        self.is_masked = is_masked
        self.is_built = False


class Dtype:
    """A NumPy dtype: how many bytes one element has, and whether that is a pointer to an object."""

    __slots__ = ("code", "has_objects", "is_built", "size")

    def __init__(self, code: str, size: int) -> None:
        self.code = code
        self.size = size
        self.has_objects = code == "O"
        self.is_built = False


class Partial:
    """scikit-learn's `functools.partial(check_array, …)`, which waits for its state."""

    __slots__ = ("function", "is_built")

    def __init__(self, function: Name) -> None:
        self.function = function
        self.is_built = False
