"""The routes that predict, as plain ASGI callables: one for every protocol, all on the same way.

`http.routes` mounts them beside FastAPI's own: a prediction takes less time than FastAPI's parameter machinery. A
protocol turns bytes into a request for the model and outputs into bytes; limits are `http.guard`'s, inference is
`service`'s. Here is what lies between, and is the same for all: headers, compression, the deadline, errors.
"""

import math
import time
from collections.abc import Mapping
from typing import Protocol

import msgspec

from modelyard_runtime import errors, service
from modelyard_runtime.formats import model as models
from modelyard_runtime.http import asgi
from modelyard_runtime.http import errors as http_errors
from modelyard_runtime.protocols import compression, exchange, v2

TIMEOUT_HEADER = b"request-timeout"
# Numbers as bytes are hardly smaller when packed.
_DENSE = frozenset({exchange.OCTETS, exchange.NPY, exchange.ARROW})


class Prediction(Protocol):
    """A module of `protocols` that reads requests."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module's constant
        """What the protocol is called in metrics and logs."""
        ...

    def decode(
        self, message: exchange.Message, signature: models.Signature, model_name: str
    ) -> exchange.Call:
        """Gives the call; raises `RequestError`."""
        ...


class PredictionRoute:
    """`POST` to one protocol's path; the path may name the model and its version."""

    def __init__(self, inference: service.Service, protocol: Prediction, max_body_bytes: int) -> None:
        self._service = inference
        self._name = protocol.NAME
        self._decode = protocol.decode
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answers one request."""
        scope["modelyard.protocol"] = self._name
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        try:
            _check_model(self._service, scope["path_params"])
            deadline = _deadline(headers.get(TIMEOUT_HEADER))
            signature = self._service.served.model.signature
            body = await asgi.read_body(receive)
            encoding = headers.get(b"content-encoding")
            if encoding is not None:
                body = compression.decompress(body, encoding, self._max_body_bytes)
            message = exchange.Message(body, headers, scope["query_string"])
            call = self._decode(message, signature, self._service.model_name)
            request = call.request
            if deadline is not None:
                request = msgspec.structs.replace(request, deadline=deadline)
            response = call.encode(await self._service.predict(request))
        except errors.RequestError as error:
            await _send_error(send, scope["path"], error)
        except asgi.Disconnected:
            return
        else:
            await _send(send, response, headers)


def unknown_model(inference: service.Service, model: str, version: str | None) -> str | None:
    """Gives the message for a model or version that is not served here, or None when it is."""
    if model != inference.model_name:
        return f"there is no model {model[:80]!r} here; this server has {inference.model_name!r}"
    if version is not None and version != v2.VERSION:
        return f"model {model!r} has no version {version[:40]!r}; it has {v2.VERSION!r}"
    return None


def _check_model(inference: service.Service, parameters: Mapping[str, str]) -> None:
    model = parameters.get("model")
    if model is None:
        return
    unknown = unknown_model(inference, model, parameters.get("version"))
    if unknown is not None:
        raise errors.UnknownModel(unknown)


def _deadline(stated: bytes | None) -> float | None:
    """Gives the moment after which the caller does not wait any more, in seconds of `time.monotonic`."""
    if stated is None:
        return None
    try:
        seconds = float(stated)
    except ValueError:
        seconds = math.nan
    # NaN compares with nothing.
    if not 0 < seconds < math.inf:
        shown = stated[:40].decode("latin-1")
        raise errors.InvalidInput(
            f"Request-Timeout is {shown!r}; send how many seconds you wait, such as 0.5"
        )
    return time.monotonic() + seconds


async def _send(send: asgi.Send, response: exchange.Response, headers: Mapping[bytes, bytes]) -> None:
    body = response.body
    more = response.headers
    if len(body) > compression.WORTHWHILE_BYTES and response.content_type not in _DENSE:
        encoding = compression.accepted(headers.get(b"accept-encoding"))
        more = [*more, (b"vary", b"accept-encoding")]
        if encoding is not None:
            body = compression.compress(body, encoding)
            more.append((b"content-encoding", encoding))
    await asgi.send_bytes(send, 200, body, response.content_type, more)


async def _send_error(send: asgi.Send, path: str, error: errors.RequestError) -> None:
    status = http_errors.status_of(error)
    body = http_errors.body_for(path, status, error.message)
    await asgi.send_json(send, status, body, http_errors.headers_of(error))
