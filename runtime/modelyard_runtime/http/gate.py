"""Lets nobody in who has no token or certificate, where the settings ask for one.

An ASGI layer that `http.app` puts inside the guard and around everything else, so that no route can be forgotten.
Probes are answered without: the kubelet has no credentials, and they tell nothing about the model.
"""

import dataclasses

from modelyard_runtime.access import tokens
from modelyard_runtime.http import asgi
from modelyard_runtime.http import errors as http_errors

OPEN_PATHS = frozenset({"/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/ping", "/health"})
# Set on the scope by `http.connection` when the client has shown a certificate that was verified.
CERTIFIED = "modelyard.client_certified"


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What a request has to show: `known` is None where no token is wanted."""

    known: tokens.Tokens | None = None
    client_certificates: bool = False

    @property
    def are_open(self) -> bool:
        """Says whether everybody may come in."""
        return self.known is None and not self.client_certificates


class Gate:
    """An ASGI application around another."""

    def __init__(self, app: asgi.Application, rules: Rules) -> None:
        self._app = app
        self._known = rules.known
        self._client_certificates = rules.client_certificates

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answers 401, 403 or 429 itself, or passes the request on."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refusal = self._refusal(scope)
            if refusal is not None:
                status, message, headers = refusal
                body = http_errors.body_for(scope["path"], status, message)
                await asgi.send_json(send, status, body, headers)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: asgi.Scope) -> tuple[int, str, asgi.Headers] | None:
        if self._client_certificates and not scope.get(CERTIFIED):
            return 403, "this model wants a client certificate that its authority has signed", []
        if self._known is None:
            return None
        verdict = self._known.verdict(asgi.header(scope, b"authorization"))
        scope["modelyard.client"] = verdict.client
        if verdict.problem is None:
            return None
        if verdict.retry_after_seconds is not None:
            return 429, verdict.problem, [(b"retry-after", str(verdict.retry_after_seconds).encode())]
        return 401, verdict.problem, [(b"www-authenticate", b"Bearer")]
