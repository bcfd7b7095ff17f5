"""Attack files that would run something at a later time, or that confuse a library about what its bytes are."""

import gzip
import struct
import zlib

from tests.unit.runtime.pickles import calls
from tests.unit.runtime.pickles.opcodes import (
    FLOATS,
    OBJECTS,
    SCALER,
    TRANSFORMER,
    VECTORIZER,
    array,
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


def _one_field(kind: bytes, offset: int) -> bytes:
    """The state of a dtype of 16 bytes with one field, of that kind and there."""
    at = fields(("a", row(kind, number(offset))))
    return row(number(3), text("|"), b"N", row(text("a")), at, number(8), number(1), number(16))


def files() -> dict[str, bytes]:
    """Files that would run something at a later time, or that confuse a library about what its bytes are."""
    bad_fields, outside = _one_field(OBJECTS, 0), _one_field(FLOATS, 4096)
    others = (other.rpartition(".") for other in calls.OTHERS.split())
    named = {
        f"a call of {module}.{attribute}": whole(call(name(module, attribute)))
        for module, _, attribute in others
    }
    return named | {
        "a function of the system as a transformer's": whole(
            estimator(TRANSFORMER, ("func", name("posix", "system")))
        ),
        "eval as a transformer's function": whole(estimator(TRANSFORMER, ("func", name("builtins", "eval")))),
        "numpy.load as a transformer's function": whole(
            estimator(TRANSFORMER, ("func", name("numpy", "load")))
        ),
        "numpy.fromfile as a vectorizer's": whole(
            estimator(VECTORIZER, ("preprocessor", name("numpy", "fromfile")))
        ),
        "a class as a transformer's function": whole(
            estimator(TRANSFORMER, ("func", name("lightgbm.basic", "Booster")))
        ),
        "memmap as a vectorizer's preprocessor": whole(
            estimator(VECTORIZER, ("preprocessor", name("numpy", "memmap")))
        ),
        "a class in a tuple": whole(estimator(TRANSFORMER, ("kw_args", row(name("numpy", "memmap"))))),
        "a class in a tuple in a list": whole(
            estimator(TRANSFORMER, ("kw_args", listed(row(row(name("numpy", "memmap"))))))
        ),
        "a class as a key": whole(b"}" + name("numpy", "memmap") + b"Ns"),
        "a class in a set": whole(b"\x8f(" + name("numpy", "memmap") + b"\x90"),
        "a class as the whole": whole(name("sklearn.svm._classes", "SVC")),
        "a class in the dictionary of an array that is kept": whole(
            fields(("subclass", name("numpy", "memmap")))
            + b"\x940"
            + estimator(TRANSFORMER, ("func", b"h\x00"))
        ),
        "a class put into a dictionary that is kept already": whole(
            fields(("x", b"N"))
            + b"\x940"
            + estimator(TRANSFORMER, ("kw_args", b"h\x00"))
            + b"0h\x00"
            + text("subclass")
            + name("numpy", "memmap")
            + b"s"
        ),
        "a vectorizer that opens files": whole(estimator(VECTORIZER, ("input", text("filename")))),
        "a vectorizer that opens files, by a text of NumPy": whole(
            estimator(
                VECTORIZER,
                (
                    "input",
                    call(
                        name("numpy._core.multiarray", "scalar"),
                        dtype("U8"),
                        blob("filename".encode("utf-32-le")),
                    ),
                ),
            )
        ),
        "an attribute by a text of NumPy": whole(
            built(
                new(name(*VECTORIZER.rsplit(".", 1))),
                b"}"
                + call(
                    name("numpy._core.multiarray", "scalar"), dtype("U5"), blob("input".encode("utf-32-le"))
                )
                + text("filename")
                + b"s",
            )
        ),
        "a second state": whole(
            built(estimator(VECTORIZER, ("input", text("content"))), fields(("input", text("filename"))))
        ),
        "attributes beyond those that are remembered": whole(
            estimator(VECTORIZER, *((f"a{index}", b"N") for index in range(600)), ("input", text("filename")))
        ),
        "slots beside the dictionary": whole(
            built(new(name(*SCALER.rsplit(".", 1))), row(b"}", fields(("__class__", b"N"))))
        ),
        "a class of one's own": whole(new(name("__main__", "Model"))),
        "a class that looks like an estimator's": whole(new(name("sklearn.tree", "BaseDecisionTree.fit"))),
        "a class in scikit-learn that is no estimator": whole(new(name("sklearn.metrics", "DistanceMetric"))),
        "a class that an estimator's module has imported": whole(
            new(name("sklearn.linear_model._base", "Parallel"))
        ),
        "a class of the tests": whole(new(name("sklearn.tree.tests.test_tree", "Tree"))),
        "a data set": whole(new(name("sklearn.datasets._base", "RemoteFileMetadata"))),
        "a look-alike in Cyrillic": whole(new(stack_name("skl\u0435arn.svm._classes", "SVC"))),
        "a look-alike in full width": whole(call(stack_name("os", "\uff53ystem"), text("true"))),
        "a name with a right-to-left mark": whole(call(stack_name("os\u202e", "system"), text("true"))),
        "a name with a NUL": whole(new(stack_name("sklearn.svm._classes\0", "SVC"))),
        "a name with a lone surrogate": whole(new(text("sklearn.svm\ud800") + text("SVC") + b"\x93")),
        "an empty name": whole(new(stack_name("", ""))),
        "a name that is a number": whole(number(1) + number(2) + b"\x93"),
        "a name that is an object": whole(estimator(SCALER) + estimator(SCALER) + b"\x93"),
        "a persistent id": whole(text("x") + b"Q"),
        "a persistent id in a line": whole(b"N0Pos.system\n"),
        "an extension of one byte": whole(b"N0\x82\x01"),
        "an extension of four bytes": whole(b"N0\x84\x01\0\0\0"),
        "a buffer outside": whole(b"N0\x97"),
        "a buffer outside, read-only": whole(b"N0\x97\x98"),
        "arguments by name": whole(name("subprocess", "Popen") + row() + b"}\x92"),
        "arguments by name for an allowed class": whole(name(*SCALER.rsplit(".", 1)) + row() + b"}\x92"),
        "text of Python 2": whole(b"N0U\x01x"),
        "a copy of the stack's top": whole(b"N2"),
        "an allowed class that is called": whole(
            call(name("lightgbm.basic", "Booster"), b"N", b"N", text("/etc/passwd"))
        ),
        "XGBoost's Booster that is called": whole(
            call(name("xgboost.core", "Booster"), b"}", row(), text("/etc/passwd"))
        ),
        "an allowed class with arguments": whole(new(name(*SCALER.rsplit(".", 1)), text("x"))),
        "a constructor that is handed a class of its own": whole(
            call(name("sklearn.neighbors._kd_tree", "newObj"), name("subprocess", "Popen"))
        ),
        "a constructor that is handed another class": whole(
            call(name("sklearn.neighbors._kd_tree", "newObj"), name("numpy", "memmap"))
        ),
        "a generator from another class": whole(
            call(name("numpy.random._pickle", "__bit_generator_ctor"), name("numpy", "memmap"))
        ),
        "an index of another class": whole(
            call(
                name("pandas.core.indexes.base", "_new_Index"),
                name("numpy", "memmap"),
                fields(("filename", text("/etc/passwd"))),
            )
        ),
        "Cython's constructor of another class": whole(
            call(name("sklearn.linear_model._sgd_fast", "__pyx_unpickle_Hinge"), b"N", number(1), b"N")
        ),
        "numpy's constructor of functions": whole(
            call(name("numpy._core", "_ufunc_reconstruct"), text("os"), text("system"))
        ),
        "numpy's convolver of records": whole(
            call(name("numpy", "frompyfunc"), name("builtins", "eval"), number(1), number(1))
        ),
        "a pickled function of cloudpickle": whole(
            call(name("cloudpickle.cloudpickle", "_make_function"), b"N")
        ),
        "a callback that writes files": whole(new(name("xgboost.callback", "TrainingCheckPoint"))),
        "a frozen distribution": whole(
            new(name("scipy.stats._distn_infrastructure", "rv_continuous_frozen"))
        ),
        "a codec that unpacks": whole(call(name("_codecs", "encode"), text("x"), text("bz2"))),
        "an address for XGBoost to free": whole(estimator("xgboost.core.Booster", ("handle", number(1234)))),
        "an address for XGBoost to free, as None": whole(estimator("xgboost.core.Booster", ("x", b"N"))),
        "an address for LightGBM to free": whole(
            estimator("lightgbm.basic.Booster", ("handle", b"N"), ("_handle", number(1234)))
        ),
        "numbers as addresses of objects": whole(
            array(row(number(1)), dtype("V8", bad_fields), blob(struct.pack("<q", 1234)))
        ),
        "numbers as addresses of objects, by flags": whole(
            array(row(number(1)), dtype("f8", dtype_state("<", flags=63)), blob(b"\1" * 8))
        ),
        "objects without their flags": whole(
            array(row(number(1)), dtype("O8", dtype_state("|", flags=0)), blob(b"\1" * 8))
        ),
        "a field outside of its record": whole(array(row(number(1)), dtype("V8", outside), blob(b"\0" * 8))),
        "a number with another size": whole(
            array(row(number(1)), dtype("f8", dtype_state("<", size=800)), blob(b"\0" * 800))
        ),
        "numpy's own dtype, changed": whole(
            built(call(name("numpy", "dtype"), text("f8"), b"\x89", b"\x89"), dtype_state(">"))
        ),
        "a dtype by a list": whole(
            call(name("numpy", "dtype"), listed(row(text("a"), text("O"))), b"\x89", b"\x88")
        ),
        "an array of joblib's with a class of its own": whole(
            wrapper(row(number(1)), FLOATS, name("subprocess", "Popen")) + b"\0" * 8
        ),
        "an array of joblib's with another allowed class": whole(
            wrapper(row(number(1)), FLOATS, name("lightgbm.basic", "Booster")) + b"\0" * 8
        ),
        "an array of joblib's in a frame": b"\x80\x04\x95"
        + struct.pack("<Q", 4000)
        + wrapper(row(number(1)), FLOATS)
        + b"\0" * 8
        + b"."
        + b"\0" * 4000,
        "a dictionary for an array's state": whole(
            built(
                call(
                    name("numpy._core.multiarray", "_reconstruct"),
                    name("numpy", "ndarray"),
                    row(number(0)),
                    blob(b"b"),
                ),
                b"}",
            )
        ),
        "items for an estimator": whole(estimator(SCALER) + text("x") + b"a"),
        "entries for an estimator": whole(estimator(SCALER) + text("x") + b"Ns"),
        "members for an estimator": whole(estimator(SCALER) + b"(N\x90"),
        "a state for a list": whole(built(b"]", fields(("x", b"N")))),
        "a state for a function": whole(built(name("numpy", "log1p"), fields(("__call__", b"N")))),
        "two pickles": whole(estimator(SCALER)) + whole(call(name("os", "system"), text("true"))),
        "two compressed files": gzip.compress(whole(estimator(SCALER))) + gzip.compress(whole(b"N")),
        "compressed with lz4": b"\x04\x22\x4d\x18" + b"\0" * 50,
        "joblib's old compression": b"ZF" + b"0x10".ljust(19) + zlib.compress(b"\x80\x04N."),
        "a second protocol": whole(b"\x80\x02" + estimator(SCALER)),
        "protocol 77": whole(b"N", 77),
        "a memo out of order": whole(b"Nq\x09"),
        "a memo that was never filled": whole(b"h\x05"),
        "a ZIP archive called joblib": b"PK\x03\x04" + b"\0" * 200,
        "a program called joblib": b"\x7fELF" + b"\0" * 200,
    }
