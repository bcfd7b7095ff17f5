"""PyTorch models: programs that `torch.export` wrote (.pt2), and TorchScript.

`adapters` imports this module on demand, in images that have PyTorch. `torch_archive` looks at each file first, and
nothing is ever unpickled but tensors (`weights_only`); a file that holds a pickled Python object is refused.
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch

from modelyard_runtime import errors
from modelyard_runtime.formats import detection, interface, tensor_model, torch_archive, versions, wording
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)
_DATATYPES: Mapping[Any, str] = {
    torch.bool: "BOOL", torch.uint8: "UINT8", torch.int8: "INT8", torch.int16: "INT16", torch.int32: "INT32",
    torch.int64: "INT64", torch.float16: "FP16", torch.float32: "FP32", torch.float64: "FP64",
}  # fmt: skip


class TorchModel(tensor_model.TensorModel):
    """An exported program or a script module."""

    format = "torch"
    engine = "PyTorch"

    def __init__(self, module: Any, signature: models.Signature, description: interface.Description) -> None:
        super().__init__(signature, description, {"torch": torch.__version__, "numpy": np.__version__})
        self._module = module

    def _compute(self, inputs: models.Tensors) -> Mapping[str, npt.NDArray[Any]]:
        tensors = [torch.from_numpy(_writable(inputs[spec.name])) for spec in self.signature.inputs]
        with torch.inference_mode():
            answer = self._module(*tensors)
        values = _flat(answer, [spec.name for spec in self.signature.outputs])
        if len(values) != len(self.signature.outputs):
            raise errors.ModelFailed(
                f"the model gave {len(values)} outputs instead of {len(self.signature.outputs)}"
            )
        named = zip(self.signature.outputs, values, strict=True)
        return {spec.name: value.detach().numpy() for spec, value in named}


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> TorchModel:
    """Loads the model in a file or folder; raises `StartFailure` (LoadFailed)."""
    file = detection.find_model_file(path)
    archive = torch_archive.inspect(file)
    notes = versions.notes("PyTorch", archive.written_by, torch.__version__.partition("+")[0], options)
    torch.set_num_threads(options.threads)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = _load_exported(file) if archive.is_exported else _load_script(file)
    except errors.StartFailure:
        raise
    except Exception as error:
        # PyTorch reads what the file says: whatever it raises is about this file.
        _log.debug("load raised", exc_info=True)
        raise wording.load_failed(
            f"the artifact {file.name!r} can't be loaded by PyTorch {torch.__version__} ({type(error).__name__}: "
            f"{wording.one_line(error)}); export it again with this version"
        ) from error
    loaded.warnings = notes
    loaded.prove_row_wise()
    return loaded


def _load_exported(file: Path) -> TorchModel:
    extra = {interface.FILE_NAME: ""}
    original = torch.load

    def load_weights_only(*arguments: Any, **named: Any) -> Any:
        return original(*arguments, **{**named, "weights_only": True})

    # PyTorch's own loader asks for full unpickling, also of the sample inputs that nobody needs here.
    with mock.patch.object(torch, "load", load_weights_only), file.open("rb") as opened:
        program = torch.export.load(opened, extra_files=extra)
    description = _description(extra[interface.FILE_NAME], file)
    # The guards are Python source in the file; `tensor_model` checks inputs against the signature instead.
    module = program.module(check_guards=False)
    return TorchModel(module, _signature_of_program(program, description), description)


def _description(content: Any, file: Path) -> interface.Description:
    """Gives the `signature.json` within the archive, or the one beside it; PyTorch gives it as text or as bytes."""
    described = content.encode() if isinstance(content, str) else bytes(content)
    return interface.parse(described) if described else tensor_model.description_beside(file)


def _signature_of_program(program: Any, description: interface.Description) -> models.Signature:
    placeholders = {
        node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"
    }
    inputs = []
    for name in program.graph_signature.user_inputs:
        value = placeholders.get(name) if isinstance(name, str) else None
        if not isinstance(value, torch.Tensor):
            raise wording.load_failed(
                f"the model takes an input that is no tensor ({name!r}); export it with tensors only"
            )
        inputs.append(models.TensorSpec(name, _datatype(value), _shape(value)))
    arguments, named_arguments = program.call_spec.in_spec.children()
    if (
        named_arguments.num_leaves
        or arguments.num_leaves != len(inputs)
        or arguments.num_children != len(inputs)
    ):
        raise wording.load_failed(
            "the model takes lists, dictionaries or keyword arguments; export it with one tensor per argument"
        )
    (answer,) = (node.args[0] for node in program.graph.nodes if node.op == "output")
    values = [node.meta["val"] for node in answer[-len(program.graph_signature.user_outputs) :]]
    names = description.outputs or _output_names(program.call_spec.out_spec, len(values))
    outputs = [
        models.TensorSpec(name, _datatype(value), _shape(value))
        for name, value in zip(names, values, strict=False)
    ]
    return models.Signature(inputs=tuple(inputs), outputs=tuple(outputs))


def _output_names(spec: Any, count: int) -> Sequence[str]:
    """Gives the keys of a dictionary, `predict` for a single tensor, else numbers."""
    if spec.type is dict and spec.num_children == count:
        return [str(key) for key in spec.context]
    return _numbered(count)


def _load_script(file: Path) -> TorchModel:
    extra = {interface.FILE_NAME: ""}
    module = torch.jit.load(str(file), map_location="cpu", _extra_files=extra).eval()
    description = _description(extra[interface.FILE_NAME], file)
    schema = module.forward.schema
    for argument in schema.arguments[1:]:
        if str(argument.type) != "Tensor":
            raise wording.load_failed(
                f"the model's input {argument.name!r} is {argument.type}, and only tensors can be served"
            )
    # A script says nothing of types and shapes: an empty shape takes any, until signature.json says more.
    inputs = tuple(models.TensorSpec(argument.name, "FP32", ()) for argument in schema.arguments[1:])
    outputs = _script_outputs(schema.returns[0].type, description)
    return TorchModel(module, models.Signature(inputs=inputs, outputs=outputs), description)


def _script_outputs(returned: Any, description: interface.Description) -> tuple[models.TensorSpec, ...]:
    kind = returned.kind()
    if kind == "DictType" and not description.outputs:
        raise wording.load_failed(
            "a TorchScript that returns a dictionary doesn't say what is in it; name its keys in signature.json:"
            ' {"outputs": ["y", "h"]}'
        )
    count = len(returned.elements()) if kind == "TupleType" else 1
    names = description.outputs or _numbered(count)
    return tuple(models.TensorSpec(name, "FP32", (-1,)) for name in names)


def _numbered(count: int) -> Sequence[str]:
    return [models.PREDICTION] if count == 1 else [f"output_{index}" for index in range(count)]


def _flat(answer: Any, names: Sequence[str]) -> list[Any]:
    """Gives a model's answer as a list in the order of the output names."""
    if isinstance(answer, dict):
        return [answer[name] for name in names] if set(names) == set(answer) else [*answer.values()]
    return [*answer] if isinstance(answer, tuple | list) else [answer]


def _writable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # PyTorch shares the memory and has no notion of read-only: a request's own bytes are not for writing.
    return array if array.flags.writeable else array.copy()


def _datatype(value: Any) -> str:
    if value.dtype not in _DATATYPES:
        raise wording.load_failed(
            f"the model has a tensor of the type {value.dtype}, which no protocol can carry"
        )
    return _DATATYPES[value.dtype]


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else -1 for size in value.shape)
