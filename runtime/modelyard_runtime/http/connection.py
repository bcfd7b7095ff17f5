"""The HTTP/1.1 connection with the limits uvicorn leaves open: time and size of a request's head, and their number.

`server` hands the class to uvicorn. Bodies are bounded one layer up, in `http.guard`, where every route passes; here is
only what happens before there is a request.
"""

import asyncio
import http
from typing import Any

from uvicorn.protocols.http import httptools_impl

from modelyard_runtime.http import asgi, gate
from modelyard_runtime.http import errors as http_errors

HEAD_SECONDS = 10.0
HEAD_BYTES = 32 * 1024
MAX_CONNECTIONS = 1000


class BoundedConnection(httptools_impl.HttpToolsProtocol):
    """One client connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes the connection, making room by closing an idle one when there are too many."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_too_slow)
        if len(self.connections) > MAX_CONNECTIONS:
            idle = (
                other
                for other in self.connections
                if getattr(other, "timeout_keep_alive_task", None) is not None
            )
            victim = next(idle, self)
            # The set holds every kind of uvicorn connection; all have a transport.
            victim.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes bytes; refuses a head that is too large."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"the request's head has more than {HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Starts the clock for a request's head."""
        super().on_message_begin()
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_too_slow)

    def on_headers_complete(self) -> None:
        """Stops the clock and lets the request begin."""
        self._stop_head_timer()
        self._in_head = False
        if sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES:
            self._refuse(431, f"the request's head has more than {HEAD_BYTES} bytes")
            return
        if self.scheme == "https":
            # Verified by the handshake, which takes none that it can't verify.
            scope: asgi.Scope = self.scope  # type: ignore[assignment]
            scope[gate.CERTIFIED] = bool(self.transport.get_extra_info("peercert"))
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Ends a request's body; the next head may come."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP, in the error form of everything else."""
        del msg
        self._refuse(400, "this is not a valid HTTP/1.1 request")

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(408, f"the request's head did not arrive within {HEAD_SECONDS:g} seconds")

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, message: str) -> None:
        body = http_errors.body_of(message)
        head = (
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()
