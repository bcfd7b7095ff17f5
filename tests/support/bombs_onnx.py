"""Bombs in ONNX files: for `tests.support.bombs`, which collects them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

# Writes the bomb and gives its path.
Make = Callable[[Path], Path]
_HUGE = 10**9
_IMPOSSIBLE = 10**13


def model(
    nodes: Iterable[onnx.NodeProto], kind: int = TensorProto.FLOAT, functions: Iterable[Any] = (),
    initializers: Iterable[onnx.TensorProto] = (),
) -> Make:  # fmt: skip
    """A model that takes `x`, one number, and gives `y`."""

    def make(folder: Path) -> Path:
        graph = helper.make_graph(
            list(nodes),
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
            [helper.make_tensor_value_info("y", kind, None)],
            list(initializers),
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        built = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))
        (folder / "model.onnx").write_bytes(built.SerializeToString())
        return folder / "model.onnx"

    return make


def _whole(name: str, *values: int) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value_ints=list(values))


def _one(name: str, value: int) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value_int=value)


def _real(name: str, *values: float) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value_floats=list(values))


def _loop(iterations: int, body: Iterable[onnx.NodeProto]) -> Make:
    """A loop whose `body` makes `v_next` of `v`."""
    value = helper.make_tensor_value_info("v", TensorProto.FLOAT, None)
    following = helper.make_tensor_value_info("v_next", TensorProto.FLOAT, None)
    inside = helper.make_graph(
        [*body, helper.make_node("Identity", ["go"], ["go_next"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            value,
        ],
        [helper.make_tensor_value_info("go_next", TensorProto.BOOL, []), following],
    )
    loop = helper.make_node("Loop", ["count", "", "x"], ["y"], body=inside)
    return model([_one("count", iterations), loop])


def _scan(length: int) -> Make:
    body = helper.make_graph(
        [helper.make_node("Add", ["v", "e"], ["v_next"])],
        "body",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("v", "e")],
        [helper.make_tensor_value_info("v_next", TensorProto.FLOAT, [1])],
    )
    scan = helper.make_node("Scan", ["x", "long"], ["y"], body=body, num_scan_inputs=1)
    return model([_whole("size", length, 1), helper.make_node("Expand", ["x", "size"], ["long"]), scan])


def _branch() -> Make:
    """Both branches of a condition are bombs."""

    def graph(name: str) -> onnx.GraphProto:
        nodes = [_whole("s", _HUGE), helper.make_node("ConstantOfShape", ["s"], [name])]
        return helper.make_graph(
            nodes, name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)]
        )

    nodes = [
        _real("zero", 0.0),
        helper.make_node("Greater", ["x", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=graph("a"), else_branch=graph("b")),
    ]
    return model(nodes)


def _field(number: int, content: bytes) -> bytes:
    """One field of bytes, as protocol buffers write it."""
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def _nested(depth: int) -> Make:
    """Graphs within graphs; written by hand, since protocol buffers' own writer refuses them."""

    def make(folder: Path) -> Path:
        graph = _field(1, _field(4, b"Identity"))
        for _ in range(depth):
            attribute = _field(1, b"then_branch") + _field(6, graph)
            graph = _field(1, _field(4, b"If") + _field(5, attribute))
        written = b"\x08\x08" + _field(7, graph) + _field(8, b"\x10\x11")
        (folder / "model.onnx").write_bytes(written)
        return folder / "model.onnx"

    return make


def _function(name: str, *calls: str) -> Any:
    """A function of the model's own that calls others, one after the other."""
    names = ["a", *(f"t{index}" for index in range(len(calls) - 1)), "b"]
    nodes = [
        helper.make_node(call, [names[index]], [names[index + 1]], domain="own" if call != "Identity" else "")
        for index, call in enumerate(calls)
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["a"], ["b"], nodes, opsets)


def _functions(*functions: Any) -> Make:
    return model([helper.make_node("F0", ["x"], ["y"], domain="own")], functions=functions)


def _external(location: str, **more: str) -> Make:
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        outside.external_data.add(key=key, value=value)
    return model([helper.make_node("Add", ["x", "w"], ["y"])], initializers=[outside])


def _initializer(*dims: int) -> Make:
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=b"\0" * 16)
    return model([helper.make_node("Add", ["x", "w"], ["y"])], initializers=[weights])


def _texts() -> Make:
    word = helper.make_node("Constant", [], ["word"], value_strings=[b"x" * 40])
    nodes = [word, _whole("s", 10**8), helper.make_node("Expand", ["word", "s"], ["y"])]
    return model(nodes, TensorProto.STRING)


def _sized(operator: str, sizes: Iterable[int], **attributes: Any) -> Make:
    return model([_whole("s", *sizes), helper.make_node(operator, ["x", "s"], ["y"], **attributes)])


BOMBS: dict[str, Make] = {
    "a constant of a huge shape": model(
        [_whole("s", _HUGE), helper.make_node("ConstantOfShape", ["s"], ["y"])]
    ),
    "a constant of an impossible shape": model(
        [_whole("s", _IMPOSSIBLE), helper.make_node("ConstantOfShape", ["s"], ["y"])]
    ),
    "an expansion": _sized("Expand", [_HUGE]),
    "a tile": _sized("Tile", [_HUGE]),
    "a pad": _sized("Pad", [0, _HUGE]),
    "a range": model(
        [_one("a", 0), _one("b", _HUGE), _one("c", 1), helper.make_node("Range", ["a", "b", "c"], ["y"])],
        TensorProto.INT64,
    ),
    "random numbers": model([helper.make_node("RandomNormal", [], ["y"], shape=[_HUGE])]),
    "texts": _texts(),
    "a long loop": _loop(10**9, [helper.make_node("Add", ["v", "v"], ["v_next"])]),
    "a loop that doubles": _loop(60, [helper.make_node("Concat", ["v", "v"], ["v_next"], axis=0)]),
    "a scan": _scan(10**8),
    "a branch": _branch(),
    "graphs 10,000 deep": _nested(10_000),
    "a function that calls itself": _functions(_function("F0", "F0")),
    "functions that call each other": _functions(_function("F0", "F1"), _function("F1", "F0")),
    "functions that each call the next twice": _functions(
        *(_function(f"F{level}", f"F{level + 1}", f"F{level + 1}") for level in range(40)),
        _function("F40", "Identity"),
    ),
    "external data at an absolute path": _external("/etc/passwd"),
    "external data above the folder": _external("../../../../../../etc/passwd"),
    "external data in a device": _external("/dev/zero", length=str(_IMPOSSIBLE)),
    "external data beyond its file": _external("model.onnx", offset=str(_HUGE), length=str(_IMPOSSIBLE)),
    "weights of an impossible size": _initializer(2**40, 2**20),
    "weights of a size that overflows": _initializer(2**32, 2**32),
    "weights of a negative size": _initializer(-4),
    "a node that feeds itself": model([helper.make_node("Add", ["x", "y"], ["y"])]),
}
