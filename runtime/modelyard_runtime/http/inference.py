"""The routes that predict, as plain ASGI callables: one for every protocol, all on the same way.

`http.routes` lists them, and `http.framework` mounts them beside FastAPI's own: a prediction takes less time than
FastAPI's parameter machinery. A protocol turns bytes into a request for the model and outputs into bytes; limits are
`http.guard`'s, inference is `service`'s. Here is what lies between, and is the same for all: headers, compression, the
deadline, errors.
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
DIGEST_HEADER = b"modelyard-model-digest"  # which bytes have answered
# Numbers as bytes are hardly smaller when packed.
_DENSE = frozenset({exchange.OCTETS, exchange.NPY, exchange.ARROW})
# An answer: status, headers and body.
Whole = tuple[int, asgi.Headers, bytes]


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
        self._digest: tuple[bytes, bytes] | None = None  # a process serves one artifact, so it is made once

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answers one request."""
        scope["modelyard.protocol"] = self._name
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        try:
            _check_model(self._service, scope["path_params"])
            deadline = _deadline(headers.get(TIMEOUT_HEADER))
            self._service.require_model()
            body = await asgi.read_body(receive)
            encoding = headers.get(b"content-encoding")
            if encoding is not None:
                body = compression.decompress(body, encoding, self._max_body_bytes)
            call = self.decode(body, headers, scope)
            request = call.request
            if deadline is not None:
                request = msgspec.structs.replace(request, deadline=deadline)
            response = self.respond(call.encode(await self._service.predict(request)), headers)
        except errors.RequestError as error:
            response = failed(scope["path"], error)
        except asgi.Disconnected:
            return
        await asgi.send_whole(send, *response)

    def decode(self, body: bytes, headers: Mapping[bytes, bytes], scope: asgi.Scope) -> exchange.Call:
        """Gives the call that an uncompressed body stands for; raises `RequestError`."""
        scope["modelyard.protocol"] = self._name
        message = exchange.Message(body, headers, scope["query_string"])
        return self._decode(message, self._service.served.model.signature, self._service.model_name)

    def respond(self, response: exchange.Response, headers: Mapping[bytes, bytes]) -> Whole:
        """Gives the answer of a success, compressed where the caller takes that."""
        if self._digest is None:
            self._digest = DIGEST_HEADER, self._service.served.manifest.digest.encode()
        body, more = response.body, [*response.headers, self._digest]
        if len(body) > compression.WORTHWHILE_BYTES and response.content_type not in _DENSE:
            encoding = compression.accepted(headers.get(b"accept-encoding"))
            more.append((b"vary", b"accept-encoding"))
            if encoding is not None:
                body = compression.compress(body, encoding)
                more.append((b"content-encoding", encoding))
        return 200, asgi.headers_of(body, response.content_type, more), body


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


def failed(path: str, error: Exception) -> Whole:
    """Gives the answer that a failure stands for; a fault of ours is told without detail."""
    if not isinstance(error, errors.RequestError):
        body = http_errors.body_for(path, 500, "internal error")
        return 500, asgi.headers_of(body, exchange.JSON, [asgi.CLOSE]), body
    status = http_errors.status_of(error)
    body = http_errors.body_for(path, status, error.message)
    return status, asgi.headers_of(body, exchange.JSON, http_errors.headers_of(error)), body
