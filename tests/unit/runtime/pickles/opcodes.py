"""Pickles put together opcode by opcode, for attacks that no pickler would write."""

import struct

SCALER = "sklearn.preprocessing._data.StandardScaler"
TRANSFORMER = "sklearn.preprocessing._function_transformer.FunctionTransformer"
VECTORIZER = "sklearn.feature_extraction.text.CountVectorizer"


def text(value: str) -> bytes:
    """A text, by its length."""
    encoded = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def blob(value: bytes) -> bytes:
    """Bytes, by their length."""
    return b"B" + struct.pack("<I", len(value)) + value


def number(value: int) -> bytes:
    """A whole number."""
    return b"J" + struct.pack("<i", value)


def name(module: str, attribute: str) -> bytes:
    """A global, as protocols before 4 write it."""
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def stack_name(module: str, attribute: str) -> bytes:
    """A global, as protocol 4 writes it."""
    return text(module) + text(attribute) + b"\x93"


def row(*items: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(items) + b"t"


def listed(*items: bytes) -> bytes:
    """A list."""
    return b"](" + b"".join(items) + b"e"


def fields(*entries: tuple[str, bytes]) -> bytes:
    """A dictionary."""
    return b"}(" + b"".join(text(key) + value for key, value in entries) + b"u"


def call(function: bytes, *arguments: bytes) -> bytes:
    """What a function gives for arguments."""
    return function + row(*arguments) + b"R"


def new(kind: bytes, *arguments: bytes) -> bytes:
    """An empty object of a class."""
    return kind + row(*arguments) + b"\x81"


def built(made: bytes, state: bytes) -> bytes:
    """An object with its state."""
    return made + state + b"b"


def whole(body: bytes, protocol: int = 4) -> bytes:
    """A pickle of what `body` leaves on the stack."""
    return b"\x80" + bytes([protocol]) + body + b"."


def dtype(code: str, state: bytes | None = None) -> bytes:
    """A NumPy dtype, with a state or without."""
    made = call(name("numpy", "dtype"), text(code), b"\x89", b"\x88")
    return made if state is None else built(made, state)


def dtype_state(order: str, size: int = -1, flags: int = 0) -> bytes:
    """The state of a dtype without fields."""
    return row(number(3), text(order), b"N", b"N", b"N", number(size), number(size), number(flags))


def array(shape: bytes, kind: bytes, content: bytes) -> bytes:
    """A NumPy array, as NumPy pickles it."""
    empty = call(
        name("numpy._core.multiarray", "_reconstruct"), name("numpy", "ndarray"), row(number(0)), blob(b"b")
    )
    return built(empty, row(number(1), shape, kind, b"\x89", content))


def wrapper(shape: bytes, kind: bytes, subclass: bytes = name("numpy", "ndarray")) -> bytes:
    """What joblib writes before the bytes of an array."""
    state = fields(
        ("subclass", subclass),
        ("shape", shape),
        ("order", text("C")),
        ("dtype", kind),
        ("allow_mmap", b"\x88"),
        ("numpy_array_alignment_bytes", b"N"),
    )
    return built(new(name("joblib.numpy_pickle", "NumpyArrayWrapper")), state)


OBJECTS = dtype("O8", dtype_state("|", flags=63))
FLOATS = dtype("f8", dtype_state("<"))


def estimator(full: str, *attributes: tuple[str, bytes]) -> bytes:
    """An object of a class of scikit-learn with these attributes."""
    module, _, attribute = full.rpartition(".")
    return built(new(name(module, attribute)), fields(*attributes))
