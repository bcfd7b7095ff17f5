"""The Open Inference Protocol version 2 over REST: requests and responses in JSON, binary tensors, or both.

`http.inference` calls `decode`, and `encode` of what it gives. Pure.
Tensors in JSON arrive in `protocols.tensors`, binary ones in `protocols.v2_binary`; `protocols.v2_inputs` makes the
model's inputs of them, and `protocols.v2_metadata` describes them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy.typing as npt

from modelyard_runtime import errors, schemas
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import body as bodies
from modelyard_runtime.protocols import exchange, rows, tensors, v2_binary, v2_inputs, v2_metadata

NAME = "v2"
VERSION = v2_metadata.VERSION

_REQUEST = msgspec.json.Decoder(schemas.InferRequest)
_FLAT_REQUEST = msgspec.json.Decoder(schemas.FlatRequest)
_RAW = "a request without JSON is for models of one input with at most one size that varies"


class Call(msgspec.Struct, frozen=True):
    """A decoded inference request: `binary` are the outputs to send as bytes, in `order` if one was asked for."""

    request: models.Request
    request_id: str | None = None
    model_name: str = ""
    order: tuple[str, ...] = ()
    binary: frozenset[str] = frozenset()

    def encode(self, outputs: models.Tensors) -> exchange.Response:
        """Gives the response for the model's outputs; data in JSON are flat, in row-major order."""
        named = {name: outputs[name] for name in self.order or outputs}
        described: dict[str, object] = {"model_name": self.model_name, "model_version": VERSION}
        if self.request_id is not None:
            described["id"] = self.request_id
        if not self.binary:
            described["outputs"] = [_tensor(name, array) for name, array in named.items()]
            return exchange.Response(bodies.encode(described))
        parts: list[bytes] = []
        listed: list[dict[str, object]] = []
        for name, array in named.items():
            if name not in self.binary:
                listed.append(_tensor(name, array))
                continue
            datatype, data = v2_binary.write(array)
            parts.append(data)
            listed.append(
                {
                    "name": name,
                    "shape": list(array.shape),
                    "datatype": datatype,
                    "parameters": {"binary_data_size": len(data)},
                }
            )
        described["outputs"] = listed
        header = bodies.encode(described)
        length = (v2_binary.HEADER, str(len(header)).encode())
        return exchange.Response(v2_binary.join(header, parts), exchange.OCTETS, [length])


def decode(message: exchange.Message, signature: models.Signature, model_name: str) -> Call:
    """Gives the call; raises `InvalidInput` or `UnsupportedMedia`."""
    stated = message.headers.get(v2_binary.HEADER)
    exchange.content_form(message, (exchange.JSON, exchange.OCTETS))
    if stated is None:
        return decode_request(message.body, signature, model_name)
    length = v2_binary.json_bytes(stated, message.body)
    if length == 0:
        return _decode_raw(message.body, signature, model_name)
    tail = v2_binary.Tail(message.body, length)
    return decode_request(message.body[:length], signature, model_name, tail)


def decode_request(
    body: bytes, signature: models.Signature, model_name: str = "", tail: v2_binary.Tail | None = None
) -> Call:
    """Gives the call for the JSON of a request, and the binary tensors behind it; raises `InvalidInput`."""
    request: schemas.FlatRequest | schemas.InferRequest
    try:
        # One pass over the body, for the usual request; whatever it is not, the second way says.
        request = bodies.decode(_FLAT_REQUEST, body) if tail is None else bodies.decode(_REQUEST, body)
    except msgspec.ValidationError:
        request = _decode_any(body)
    if isinstance(request, schemas.FlatRequest):
        decoded = {tensor.name: tensors.of_floats(tensor) for tensor in request.inputs}
    else:
        decoded = _decode_inputs(request.inputs, signature, tail)
    if not decoded:
        raise errors.InvalidInput(f"inputs is empty; the model takes {v2_inputs.expected(signature)}")
    if len(decoded) != len(request.inputs):
        raise errors.InvalidInput("two inputs have the same name")
    if tail is not None:
        tail.end()
    order = _order(request.outputs, signature)
    wanted = frozenset(order) if order else signature.default_outputs
    asked = v2_inputs.build_request(decoded, signature, wanted, request.parameters)
    if tail is not None:
        _check_table(asked, signature)
    return Call(asked, request.id, model_name, order, _binary(request, wanted))


def _decode_any(body: bytes) -> schemas.InferRequest:
    try:
        return bodies.decode(_REQUEST, body)
    except msgspec.ValidationError as error:
        raise errors.InvalidInput(bodies.as_sentence(error)) from None


def _decode_inputs(
    inputs: Sequence[schemas.InferInput], signature: models.Signature, tail: v2_binary.Tail | None
) -> v2_inputs.Decoded:
    missing = signature.allows_missing or not (signature.is_numeric or signature.inputs)
    decoded: v2_inputs.Decoded = {}
    for tensor in inputs:
        size = v2_binary.size_of(tensor)
        if size is None:
            decoded[tensor.name] = tensors.decode_stated(tensor, missing)
        elif tail is None:
            raise errors.InvalidInput(
                f"{tensors.place(tensor)} states binary_data_size; send the header Inference-Header-Content-Length"
            )
        else:
            decoded[tensor.name] = tail.take(tensor, size)
    return decoded


def _decode_raw(body: bytes, signature: models.Signature, model_name: str) -> Call:
    """Gives the call for a body that is the one input's bytes and nothing else; all outputs are binary."""
    described = v2_metadata.describe_inputs(signature, as_matrix=True)
    shape: list[int] = described[0]["shape"]
    if len(described) != 1 or shape.count(-1) > 1:
        raise errors.InvalidInput(f"{_RAW}; this one takes {v2_inputs.expected(signature)}")
    name, datatype = described[0]["name"], described[0]["datatype"]
    array = v2_binary.read(body, 0, len(body), datatype, f"input {name!r}")
    try:
        # A -1 among the sizes is found by NumPy.
        array = array.reshape(shape)
    except ValueError:
        raise errors.InvalidInput(
            f"the body has {array.size} values of {datatype}, which are no {shape}"
        ) from None
    request = v2_inputs.build_request({name: array}, signature, signature.default_outputs, None)
    _check_table(request, signature)
    return Call(request, None, model_name, (), signature.default_outputs)


def _check_table(request: models.Request, signature: models.Signature) -> None:
    # Bytes can hold NaN and infinity, JSON can't. A tensor may hold them: what they mean is the model's to say.
    if not signature.inputs:
        rows.check_finite(request.inputs[models.TABLE], signature, models.TABLE)


def _order(outputs: list[schemas.InferOutput] | None, signature: models.Signature) -> tuple[str, ...]:
    """Gives the outputs the caller names, in his order; raises `InvalidInput` for those that are not there."""
    if not outputs:
        return ()
    known = [output.name for output in signature.outputs]
    for output in outputs:
        if output.name not in known:
            raise errors.InvalidInput(
                f"the model has no output {output.name[:80]!r}; it has {', '.join(map(repr, known))}"
            )
        if output.parameters and output.parameters.get("classification"):
            raise errors.InvalidInput(
                "the parameter classification is not offered; ask for the output itself"
            )
    return tuple(dict.fromkeys(output.name for output in outputs))


def _binary(request: schemas.FlatRequest | schemas.InferRequest, wanted: frozenset[str]) -> frozenset[str]:
    """Gives the outputs that are wanted as bytes: what is said of a single one counts more than what is said of all."""
    by_default = _is_set(request.parameters, "binary_data_output", default=False)
    if not request.outputs:
        return wanted if by_default else frozenset()
    return frozenset(
        output.name for output in request.outputs if _is_set(output.parameters, "binary_data", by_default)
    )


def _is_set(parameters: Mapping[str, Any] | None, name: str, default: bool) -> bool:
    value = default if parameters is None else parameters.get(name, default)
    if not isinstance(value, bool):
        raise errors.InvalidInput(f"the parameter {name} is {rows.kind_of(value)}; send true or false")
    return value


def _tensor(name: str, array: npt.NDArray[Any]) -> dict[str, object]:
    datatype = models.datatype_of(array.dtype)
    data = bodies.jsonable(array.ravel())
    if datatype == "BYTES" and isinstance(data, list):
        data = [item if isinstance(item, str) else str(item) for item in data]
    # Half precision has no form in JSON; every such number is one of single precision.
    return {
        "name": name,
        "shape": list(array.shape),
        "datatype": "FP32" if datatype == "FP16" else datatype,
        "data": data,
    }
