"""The two hot routes, `POST /predict` and `POST /v2/models/{model}/infer`, as plain ASGI callables.

Mounted by `http.app` beside FastAPI's own routes: a prediction takes less time than FastAPI's parameter machinery.
They turn bytes into tables and predictions into bytes; limits are `http.guard`'s, inference is `service`'s.
"""

from modelyard_runtime import errors, service
from modelyard_runtime.http import asgi
from modelyard_runtime.http import errors as http_errors
from modelyard_runtime.protocols import predict, v2

_JSON_TYPES = (b"application/json", b"text/json")


class PredictRoute:
    """`POST /predict`."""

    def __init__(self, inference: service.Service) -> None:
        self._service = inference

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answers one request."""
        scope["modelyard.protocol"] = predict.NAME
        try:
            signature = self._service.served.model.signature
            if not await _accepts(scope, send):
                return
            request = predict.decode_request(await asgi.read_body(receive), signature)
            body = predict.encode_response(await self._service.predict(request))
        except errors.RequestError as error:
            await _send_error(send, error)
            return
        except asgi.Disconnected:
            return
        await asgi.send_json(send, 200, body)


class InferRoute:
    """`POST /v2/models/{model}/infer`, also with `/versions/{version}`."""

    def __init__(self, inference: service.Service) -> None:
        self._service = inference

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answers one request."""
        scope["modelyard.protocol"] = v2.NAME
        parameters = scope["path_params"]
        if (
            unknown := unknown_model(self._service, parameters["model"], parameters.get("version"))
        ) is not None:
            await asgi.send_json(send, 404, http_errors.body_of(unknown))
            return
        try:
            signature = self._service.served.model.signature
            if not await _accepts(scope, send):
                return
            call = v2.decode_request(await asgi.read_body(receive), signature)
            outputs = await self._service.predict(call.request)
            body = v2.encode_response(outputs, self._service.model_name, call.request_id)
        except errors.RequestError as error:
            await _send_error(send, error)
            return
        except asgi.Disconnected:
            return
        await asgi.send_json(send, 200, body)


def unknown_model(inference: service.Service, model: str, version: str | None) -> str | None:
    """Gives the message for a model or version that is not served here, or None when it is."""
    if model != inference.model_name:
        return f"there is no model {model[:80]!r} here; this server has {inference.model_name!r}"
    if version is not None and version != v2.VERSION:
        return f"model {model!r} has no version {version[:40]!r}; it has {v2.VERSION!r}"
    return None


async def _accepts(scope: asgi.Scope, send: asgi.Send) -> bool:
    """Says whether the headers announce JSON, or nothing at all; answers 415 itself when they announce other things."""
    content_type = asgi.header(scope, b"content-type")
    if content_type is not None and content_type.partition(b";")[0].strip().lower() not in _JSON_TYPES:
        shown = content_type[:80].decode("latin-1")
        await asgi.send_json(
            send, 415, http_errors.body_of(f"the content type {shown!r} is not taken; send application/json")
        )
        return False
    encoding = asgi.header(scope, b"content-encoding")
    if encoding is not None and encoding.strip().lower() != b"identity":
        await asgi.send_json(
            send, 415, http_errors.body_of("compressed bodies are not taken; send the JSON as it is")
        )
        return False
    return True


async def _send_error(send: asgi.Send, error: errors.RequestError) -> None:
    await asgi.send_json(
        send, http_errors.status_of(error), http_errors.body_of(error.message), http_errors.headers_of(error)
    )
