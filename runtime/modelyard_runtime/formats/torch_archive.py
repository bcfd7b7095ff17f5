"""Whether a file that `torch.export` or TorchScript wrote can be loaded without running what its author chose.

`torch` calls `inspect` before PyTorch sees the file, because PyTorch's own loader unpickles, parses expressions with
`eval`, looks up operators by any attribute of the module `torch`, and opens shared libraries, all as the archive says.
Reads the archive, imports no PyTorch, changes nothing.
"""

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from modelyard_runtime import errors
from modelyard_runtime.formats import wording


class Archive(msgspec.Struct, frozen=True):
    """What a harmless archive is: an exported program or a script, and the versions of PyTorch that wrote it."""

    is_exported: bool
    written_by: tuple[str, ...] = ()


# Operators of PyTorch's own libraries, and the arithmetic on sizes that an exported program does.
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|quantized|quantized_decomposed)\.(?!save\b|from_file\b)[a-z0-9_]+(\.[A-Za-z0-9_]+)?"
    r"|torch\.ops\.higher_order\.(cond|while_loop|scan|map_impl|associative_scan|wrap_with_set_grad_enabled)"
    r"|torch\.sym_[a-z]+"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)"
    r"|math\.(ceil|floor|trunc|sqrt|log2)"
)
# What PyTorch writes for a size: the classes of SymPy and of torch.utils._sympy.functions, and nothing else.
_FUNCTIONS = frozenset({
    "Unequality",  # codespell:ignore unequality - SymPy calls it that
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Mod", "Max", "Min", "Abs", "Eq", "Ne",
    "Lt", "Le", "Gt", "Ge", "Equality", "StrictLessThan", "LessThan", "StrictGreaterThan",
    "GreaterThan", "And", "Or", "Not", "Piecewise", "ITE", "floor", "ceiling", "FloorDiv",
    "ModularIndexing", "CleanDiv", "CeilDiv", "CeilToInt", "FloorToInt", "IntTrueDiv", "FloatTrueDiv",
    "TruncToInt", "TruncToFloat", "PythonMod", "PowByNatural", "FloatPow", "ToFloat", "RoundToInt",
    "RoundDecimal", "Where", "Identity", "IsNonOverlappingAndDenseIndicator",
})  # fmt: skip
_NAMES = frozenset({"true", "false", "oo", "int_oo"})
_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NODES = (
    ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.Tuple, ast.UnaryOp, ast.USub, ast.UAdd,
    ast.Not, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.Compare, ast.Eq,
    ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.BitAnd, ast.BitOr,
)  # fmt: skip
# Written by torch.export before 2.8: everything in it is a pickle.
_OLD_PROGRAM = "serialized_exported_program.json"
_COMPILED = ("data/aotinductor/", "executorch/", "mtia/")
_PICKLED = ("data/constants/custom_obj", "data/constants/opaque_obj")
_CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict")
# Names of tensors, parameters, operators' arguments, versions, and what the schema calls its fields.
_WORD = re.compile(r"[A-Za-z0-9_.:+/-]{0,1000}")
# Where the author's source lines are, for tracebacks; and checks of inputs as Python source, which are never asked for.
_IGNORED = ("metadata", "guards_code")
_MAX_JSON_BYTES = 256 * 1024**2


def inspect(file: Path) -> Archive:
    """Gives what an archive is; raises `StartFailure` (LoadFailed) when loading it could run foreign code."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _inspect(archive, file.name)
    except (zipfile.BadZipFile, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise _failed(
            file.name, f"is damaged or no model ({type(error).__name__}); save it with torch.export.save"
        ) from error


def _inspect(archive: zipfile.ZipFile, name: str) -> Archive:
    # All records are in one folder, called like the file was when it was saved. PyTorch doesn't mind upper case.
    members = [
        (info.filename.partition("/")[2].lower() or info.filename, info) for info in archive.infolist()
    ]
    names = {member for member, _ in members}
    if _OLD_PROGRAM in names:
        raise _failed(name, "was exported by PyTorch before 2.8, whose files are pickles; export it again")
    programs = [info for member, info in members if member.startswith("models/")]
    if not programs:
        if "constants.pkl" in names and any(member.startswith("code/") for member in names):
            return Archive(is_exported=False)
        raise _failed(
            name,
            "holds pickled Python objects (torch.save), which this runtime never loads; export the model with"
            " torch.export.export and save it with torch.export.save",
        )
    for member in names:
        if member.startswith(_COMPILED):
            raise _failed(
                name, "holds compiled code, which this runtime never runs; save the exported program itself"
            )
        if member.startswith(_PICKLED):
            raise _failed(name, "holds pickled objects among its constants, which this runtime never loads")
    written_by: set[str] = set()
    for info in programs:
        if info.file_size > _MAX_JSON_BYTES:
            raise _failed(name, f"describes its program in {info.file_size} bytes, which is too much")
        program = json.loads(archive.read(info))
        _require_harmless(program, name)
        if not isinstance(program, dict):
            raise _failed(name, "describes no program")
        written_by.add(str(program.get("torch_version", "")).partition("+")[0])
    return Archive(is_exported=True, written_by=tuple(sorted(written_by - {""})))


def _require_harmless(program: Any, name: str) -> None:
    """Looks at every word of a program's description: much of it becomes Python source in PyTorch's loader."""
    pending: list[tuple[str, Any]] = [("", program)]
    while pending:
        key, value = pending.pop()
        if isinstance(value, dict):
            for inner, content in value.items():
                if not _WORD.fullmatch(inner):
                    raise _failed(name, f"has the word {inner[:80]!r} in its program, which is no name")
                if inner not in _IGNORED:
                    pending.append((inner, content))
        elif isinstance(value, list):
            pending += [(key, content) for content in value]
        elif isinstance(value, str) and not _is_harmless(key, value):
            raise _failed(
                name,
                f"has {value[:80]!r} in its program ({key}), which is not among the operators and expressions that this"
                " runtime allows",
            )


def _is_harmless(key: str, value: str) -> bool:
    if key in ("as_string", "as_strings"):
        return True  # A constant: it stays one.
    if key == "expr_str":
        return is_size(value)
    if key in ("in_spec", "out_spec"):
        return all(kind in _CONTAINERS for kind in _containers(json.loads(value)))
    if key == "target" and value.startswith(("torch", "_operator", "math", "#")):
        return _OPERATOR.fullmatch(value) is not None
    return _WORD.fullmatch(value) is not None


def _containers(tree: Any) -> Iterator[Any]:
    """Gives the types in a description of nested arguments; each can bring a module to be imported."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node.get("type")
            yield from ([] if set(node) <= {"type", "context", "children_spec"} else ["something else"])
            if "__enum__" in str(node.get("context")) or "\\" in str(node.get("context")):
                yield "something else"
            pending += node.get("children_spec", [])
        elif isinstance(node, list):
            pending += node


def is_size(expression: str) -> bool:
    """Says whether an expression is arithmetic on sizes and nothing that could run when it is evaluated."""
    if len(expression) > 10_000:
        return False
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, MemoryError):
        return False
    return all(_is_arithmetic(node) for node in ast.walk(tree))


def _is_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
    if isinstance(node, ast.Name):
        return (
            node.id in _FUNCTIONS
            or node.id in _NAMES
            or re.fullmatch(r"z?[usf]{1,2}\d+", node.id) is not None
        )
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return _SYMBOL.fullmatch(node.value) is not None
        return isinstance(node.value, int | float)
    return isinstance(node, _NODES)


def _failed(name: str, problem: str) -> errors.StartFailure:
    return wording.load_failed(f"the artifact {name!r} {problem}")
