"""Archives that PyTorch's own loader would obey are refused before it sees them; those it writes itself pass."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import torch_archive

SYMBOL = "Symbol('s75', positive=True, integer=True)"
LEAF = '{"type": null, "context": null, "children_spec": []}'
SPEC = f'[1, {{"type": "builtins.tuple", "context": "null", "children_spec": [{LEAF}]}}]'


def program(**changes: Any) -> dict[str, Any]:
    """As much of a program's description as counts here."""
    node = {
        "target": "torch.ops.aten.conv2d.default",
        "inputs": [
            {"name": "input", "arg": {"as_tensor": {"name": "x"}}},
            {"name": "mode", "arg": {"as_string": "any '\""}},
        ],
        "metadata": {"stack_trace": 'File "/home/me/train.py", line 3'},
    }
    sizes = {"as_expr": {"expr_str": f"Mul(Integer(8), {SYMBOL})", "hint": {"as_int": 16}}}
    base: dict[str, Any] = {"nodes": [node], "sizes": [sizes], "in_spec": SPEC, "torch_version": "2.15.0+cpu"}
    base["nodes"][0] |= changes.pop("node", {})
    return base | changes


def archive(path: Path, members: dict[str, bytes], root: str = "m") -> Path:
    with zipfile.ZipFile(path / "m.pt2", "w") as written:
        for name, content in members.items():
            written.writestr(f"{root}/{name}", content)
    return path / "m.pt2"


def exported(path: Path, described: Any, **more: bytes) -> Path:
    return archive(path, {"models/model.json": json.dumps(described).encode(), **more})


def refusal(file: Path) -> str:
    with pytest.raises(errors.StartFailure) as failed:
        torch_archive.inspect(file)
    assert failed.value.reason is errors.Reason.LOAD_FAILED
    return failed.value.message


def test_an_exported_program_and_a_script_pass(tmp_path: Path) -> None:
    found = torch_archive.inspect(exported(tmp_path, program()))
    assert found == torch_archive.Archive(is_exported=True, written_by=("2.15.0",))
    script = archive(tmp_path, {"constants.pkl": b"", "code/__torch__/m.py": b"", "data.pkl": b""})
    assert torch_archive.inspect(script) == torch_archive.Archive(is_exported=False)


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system", "torch.load", "torch.ops.load_library", "torch.ops.aten.save", "torch.ops.mine.op",
        "torch.ops.aten.from_file.default", "torch.ops.aten.x.default.__globals__", "torch._C._pickle_load_obj",
        "_operator.attrgetter", "_operator.methodcaller", "_operator.call", "math.__loader__.load_module", "#torch.x",
        "x\n", "x; import os", "torchx",
    ],
)  # fmt: skip
def test_an_operator_that_is_none_is_refused(tmp_path: Path, target: str) -> None:
    assert "is not among the operators" in refusal(exported(tmp_path, program(node={"target": target})))


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')", "open('/tmp/x')", "Symbol('x').__class__", "eval('1')", "(lambda: 1)()",
        "[x for x in ()]", "f'{1}'", "Symbol('a b')", "Symbol('__import__(1)')", "s1 if s2 else s3", "Integer(*s1)[0]",
        "exit()", "", "1;2", "(" * 5000,
    ],
)  # fmt: skip
def test_a_size_that_is_no_arithmetic_is_refused(tmp_path: Path, expression: str) -> None:
    assert not torch_archive.is_size(expression)
    assert "is not among" in refusal(exported(tmp_path, program(sizes=[{"expr_str": expression}])))


@pytest.mark.parametrize(
    "expression", [SYMBOL, "s0 + 2*s1", "FloorDiv(s0, 2)", "Max(1, Mod(u0, -3))", "Eq(s0, 4)", "2**s0", "-oo"]
)
def test_arithmetic_on_sizes_passes(expression: str) -> None:
    assert torch_archive.is_size(expression)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x):\n    import os"},
        {"inputs": {"x'] = 1 #": 1}},
        {"in_spec": '[1, {"type": "collections.defaultdict", "context": "[]", "children_spec": []}]'},
        {
            "out_spec": '[1, {"type": "builtins.dict", "context": "[{\\"__enum__\\": true}]", "children_spec": []}]'
        },
        {"out_spec": '[1, {"type": "builtins.dict", "context": "[\\"\\\\u005f\\"]", "children_spec": []}]'},
    ],
)
def test_a_word_that_would_become_source_or_an_import_is_refused(tmp_path: Path, changes: Any) -> None:
    assert "in its program" in refusal(exported(tmp_path, program(**changes)))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"data/aotinductor/model/a.so": b""}, "compiled code"),
        ({"Data/AOTInductor/model/a.so": b""}, "compiled code"),
        ({"data/constants/custom_obj_0": b""}, "pickled objects"),
        ({"data/constants/opaque_obj_0": b""}, "pickled objects"),
        ({"Models/Other.JSON": json.dumps(program(node={"target": "torch.load"})).encode()}, "torch.load"),
        ({"models/other.json": b"[]"}, "describes no program"),
        ({"models/other.json": b"{"}, "damaged"),
    ],
)
def test_nothing_else_in_the_archive_gets_past(tmp_path: Path, members: dict[str, bytes], words: str) -> None:
    assert words in refusal(exported(tmp_path, program(), **members))


def test_what_is_no_program_is_told_what_to_do(tmp_path: Path) -> None:
    pickled = archive(tmp_path, {"data.pkl": b"", "data/0": b""})
    assert "save it with torch.export.save" in refusal(pickled)
    old = archive(tmp_path, {"serialized_exported_program.json": b"{}"})
    assert "before 2.8" in refusal(old)
    (tmp_path / "m.pt2").write_bytes(b"PK\x03\x04 and no more")
    assert "damaged" in refusal(tmp_path / "m.pt2")
