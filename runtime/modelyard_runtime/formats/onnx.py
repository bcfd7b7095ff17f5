"""ONNX models, computed by ONNX Runtime.

`adapters` imports it on demand; importing this module imports ONNX Runtime. An ONNX file is a program of numeric
operators: it runs no code of its own, and ONNX Runtime reads external data from the artifact's own folder only.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from modelyard_runtime import errors
from modelyard_runtime.formats import detection, interface, onnx_header, tensor_model, wording
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)
_DATATYPES: Mapping[str, str] = {
    "tensor(bool)": "BOOL", "tensor(string)": "BYTES",
    "tensor(float16)": "FP16", "tensor(float)": "FP32", "tensor(double)": "FP64",
    "tensor(int8)": "INT8", "tensor(int16)": "INT16", "tensor(int32)": "INT32", "tensor(int64)": "INT64",
    "tensor(uint8)": "UINT8", "tensor(uint16)": "UINT16", "tensor(uint32)": "UINT32", "tensor(uint64)": "UINT64",
}  # fmt: skip
# What ZipMap makes of a classifier's probabilities: one mapping from label to probability for each row.
_MAPPINGS = ("seq(map(int64,tensor(float)))", "seq(map(string,tensor(float)))")
_FATAL = 4  # ONNX Runtime's log level: errors are raised, and whoever sends nonsense would fill the log


class OnnxModel(tensor_model.TensorModel):
    """A session of ONNX Runtime; inputs and outputs have the names the file gives them."""

    format = "onnx"
    engine = "ONNX Runtime"

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        signature: models.Signature,
        description: interface.Description,
        versions: Mapping[str, str],
    ) -> None:
        super().__init__(signature, description, versions)
        self._session = session
        self._names = [output.name for output in signature.outputs]

    def _compute(self, inputs: models.Tensors) -> Mapping[str, npt.NDArray[Any]]:
        try:
            answers = self._session.run(self._names, dict(inputs))
        except (states.InvalidArgument, states.Fail, states.RuntimeException) as error:
            # What a well-formed file raises while it runs is about sizes and values that don't go together.
            raise ValueError(str(error).rpartition(" : ")[2].strip() or "it failed") from error
        return {
            name: _table(answer) if isinstance(answer, list) else answer
            for name, answer in zip(self._names, answers, strict=True)
        }

    def learn_classes(self) -> None:
        """Asks once for the labels that are only found in an answer of ZipMap."""
        inputs = tensor_model.made_up(self.signature, 1)
        if inputs is None:
            return
        try:
            answers = self._session.run(self._names, inputs)
        except Exception as error:
            # A made-up row may be refused for good reasons; the labels then stay unknown.
            _log.debug("no labels", extra={"fields": {"problem": wording.one_line(error)}})
            return
        for answer in answers:
            if isinstance(answer, list) and answer and isinstance(answer[0], dict):
                self.signature = msgspec.structs.replace(self.signature, classes=tuple(answer[0]))


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> OnnxModel:
    """Loads the model in a file or folder; raises `StartFailure` (LoadFailed)."""
    file = detection.find_model_file(path)
    header = onnx_header.read(file)
    try:
        session = onnxruntime.InferenceSession(
            str(file), _session_options(options.threads), providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        # ONNX Runtime has a dozen kinds of errors for a file it can't run, none of them documented.
        _log.debug("load raised", exc_info=True)
        raise _unloadable(file, header, error) from error
    written = {"producer": header.producer, "opset": ", ".join(header.opsets)}
    model = OnnxModel(
        session,
        _signature(session, file.name),
        tensor_model.description_beside(file),
        {"onnxruntime": onnxruntime.__version__, **{key: value for key, value in written.items() if value}},
    )
    model.learn_classes()
    model.prove_row_wise()
    return model


def _session_options(threads: int) -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = _FATAL
    # A thread that spins while it waits burns the CPU that the container is limited to.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return settings


def _signature(session: onnxruntime.InferenceSession, name: str) -> models.Signature:
    inputs = tuple(_spec(one, name, "input") for one in session.get_inputs())
    outputs = tuple(_spec(one, name, "output") for one in session.get_outputs())
    if not inputs or not outputs:
        raise wording.load_failed(f"the ONNX model in {name!r} has no inputs or no outputs")
    # A file with a fixed batch size takes no other; one without may still mix rows, which is tried before it is used.
    is_open = all(one.shape[:1] == (-1,) for one in (*inputs, *outputs))
    return models.Signature(inputs=inputs, outputs=outputs, is_row_wise=is_open)


def _spec(argument: onnxruntime.NodeArg, name: str, role: str) -> models.TensorSpec:
    if role == "output" and argument.type in _MAPPINGS:
        return models.TensorSpec(argument.name, "FP32", (-1, -1))
    if argument.type not in _DATATYPES:
        raise wording.load_failed(
            f"the {role} {argument.name!r} of the ONNX model in {name!r} is {argument.type}, which no request can "
            "carry; export the model with tensors"
        )
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in argument.shape)
    return models.TensorSpec(argument.name, _DATATYPES[argument.type], shape)


def _table(rows: list[Any]) -> npt.NDArray[np.float32]:
    """Gives a table, rows by labels, for one mapping per row; every mapping has the labels in the same order."""
    return np.array([list(row.values()) for row in rows], dtype=np.float32)


def _unloadable(file: Path, header: onnx_header.Header, error: Exception) -> errors.StartFailure:
    if not header.opsets or isinstance(error, states.InvalidProtobuf):
        return wording.unreadable(file, "onnx", error)
    text = str(error)
    if "External data" in text or "external data" in text:
        text = (
            f"its external data can't be read from the artifact's own folder: {text.rpartition('Error: ')[2]}"
        )
    else:
        text = f"ONNX Runtime {onnxruntime.__version__} can't run it: {text.rpartition(' : ')[2]}"
    return wording.load_failed(
        f"the artifact {file.name!r} is an ONNX model (version {header.ir_version} of the form, operator sets "
        f"{', '.join(header.opsets)}), but {wording.one_line(ValueError(text))}"
    )
