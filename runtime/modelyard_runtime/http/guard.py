"""The outermost ASGI layer: limits on every request, counting, and the farewell of a draining process.

Wraps the whole application in `http.app`; nothing gets past it, whatever route is added later. It bounds the body in
bytes and seconds, counts what is in flight (the drain waits for it), times requests, and asks clients to close their
connection while the process drains. It must never read a body itself or look into it.
"""

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from modelyard_runtime import lifecycle, metrics, service
from modelyard_runtime.http import asgi, telemetry
from modelyard_runtime.http import errors as http_errors

if TYPE_CHECKING:
    from modelyard_runtime.http import express

_log = logging.getLogger(__name__)
CLIENT_LEFT = (
    499  # counted, as nginx does, for a client that went away before there was an answer; never sent
)
# Probes and scrapes must not keep a draining process awake.
_OBSERVERS = frozenset({"/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})


class _Refused(Exception):  # noqa: N818 - named for what it means
    """The guard has answered; this unwinds the application, whatever it was doing."""


class Guard:
    """An ASGI application around another."""

    def __init__(
        self,
        app: asgi.Application,
        inference: service.Service,
        counters: metrics.Metrics,
        max_body_bytes: int,
        body_seconds: float = 15.0,
    ) -> None:
        self.telemetry: telemetry.Telemetry | None = None
        # An `express.Express`, where requests may take the short way past this layer; it counts here all the same.
        self.express: express.Express | None = None
        self._app = app
        self._service = inference
        self._metrics = counters
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds
        self.in_flight = 0
        self.last_request_at = time.monotonic()

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answers one request, or passes the server's lifespan events on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self.enter(scope)
        exchange = _Exchange(self, scope, receive, send)
        try:
            await exchange.run(self._app)
        finally:
            self.leave(scope, exchange.status, started)

    def enter(self, scope: asgi.Scope) -> float:
        """Counts a request in and gives the time it began, for `leave`."""
        if scope["path"] not in _OBSERVERS:
            self.in_flight += 1
            self.last_request_at = time.monotonic()
            self._metrics.set_in_flight(self.in_flight)
        return time.perf_counter()

    def leave(self, scope: asgi.Scope, status: int, started: float) -> None:
        """Counts a request out, with what it was answered."""
        seconds = time.perf_counter() - started
        self._metrics.count_request(scope.get("modelyard.protocol", "other"), status, seconds)
        if scope["path"] in _OBSERVERS:
            return
        self.in_flight -= 1
        self.last_request_at = time.monotonic()
        self._metrics.set_in_flight(self.in_flight)
        if self.telemetry is not None:
            self.telemetry.finish(scope, status, seconds)

    def with_farewell(self, headers: asgi.Headers) -> asgi.Headers:
        """Gives a response's headers; while the process drains they ask the client to close its connection."""
        return [*headers, asgi.CLOSE] if self.is_draining and asgi.CLOSE not in headers else headers

    @property
    def max_body_bytes(self) -> int:
        """The largest body that is read."""
        return self._max_body_bytes

    @property
    def body_seconds(self) -> float:
        """How long a client may take to send a body."""
        return self._body_seconds

    @property
    def is_draining(self) -> bool:
        """Says whether clients should go elsewhere for their next request."""
        return self._service.stage is lifecycle.Stage.DRAINING


class _Exchange:
    """One request and its response."""

    def __init__(self, guard: Guard, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        self._guard = guard
        self._scope = scope
        self._receive = receive
        self._send = send
        self._received_bytes = 0
        self._body_deadline: float | None = None
        self._body_complete = False
        self._refused = False
        self.status = CLIENT_LEFT

    async def run(self, app: asgi.Application) -> None:
        try:
            if asgi.COMPLETE not in self._scope:  # what is here is measured, not believed
                announced = asgi.header(self._scope, b"content-length")
                if announced is not None and int(announced) > self._guard.max_body_bytes:
                    await self._refuse_size()
            await app(self._scope, self.receive, self.send)
        except _Refused:
            return
        except asyncio.CancelledError:
            if asgi.GONE in self._scope:
                return  # the connection ended the task; there is nobody to answer
            await self._answer(503, "the server is shutting down")
            raise
        except Exception:
            # The outermost loop of a request: whatever went wrong, this one is answered and the next one served.
            _log.exception("request failed")
            await self._answer(500, "internal error")

    async def receive(self) -> asgi.Message:
        if self._body_complete:
            return await self._receive()  # a disconnect may be awaited as long as the answer takes
        message = await (self._receive() if asgi.COMPLETE in self._scope else self._receive_in_time())
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > self._guard.max_body_bytes:
            await self._refuse_size()
        self._body_complete = not message.get("more_body", False)
        return message

    async def _receive_in_time(self) -> asgi.Message:
        if self._body_deadline is None:
            self._body_deadline = asyncio.get_running_loop().time() + self._guard.body_seconds
        try:
            async with asyncio.timeout_at(self._body_deadline):
                return await self._receive()
        except TimeoutError:
            await self._answer(408, f"the body did not arrive within {self._guard.body_seconds:g} seconds")
            raise _Refused from None

    async def send(self, message: asgi.Message) -> None:
        if self._refused:
            return  # What the application says to the exception that unwinds it.
        if message["type"] == asgi.WHOLE:
            self.status = message["status"]
            await self._send_whole(self._guard.with_farewell(message["headers"]), message["body"])
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._guard.with_farewell(message.get("headers", []))
        await self._send(message)

    async def _refuse_size(self) -> None:
        limit = self._guard.max_body_bytes
        await self._answer(413, f"the body has more than {limit} bytes; send fewer rows per request")
        raise _Refused

    async def _answer(self, status: int, message: str) -> None:
        """Answers in the application's place, unless its own answer has begun: then the server breaks it off."""
        if self.status != CLIENT_LEFT:
            return
        self.status = status
        self._refused = True
        body = http_errors.body_for(self._scope["path"], status, message)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), asgi.CLOSE]
        await self._send_whole(headers, body)

    async def _send_whole(self, headers: asgi.Headers, body: bytes) -> None:
        answer: asgi.Answer | None = self._scope.get(asgi.ANSWER)
        if answer is None or not answer(self.status, headers, body):
            await self._send({"type": "http.response.start", "status": self.status, "headers": headers})
            await self._send({"type": "http.response.body", "body": body})
