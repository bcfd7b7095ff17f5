"""The HTTP/1.1 connection with the limits uvicorn leaves open: time and size of a request's head, and their number.

`server` hands the class to uvicorn. Bodies are bounded one layer up, in `http.guard`, where every route passes; here is
only what happens before there is a request.
"""

import asyncio
import functools
import http
from typing import Any, ClassVar

from uvicorn.protocols.http import httptools_impl

from modelyard_runtime.http import asgi, express, gate, inference
from modelyard_runtime.http import errors as http_errors

HEAD_SECONDS = 10.0
HEAD_BYTES = 32 * 1024
MAX_CONNECTIONS = 1000


class BoundedConnection(httptools_impl.HttpToolsProtocol):
    """One client connection."""

    # The process's connections without a request, the one that has been so for longest first: silent newcomers as well
    # as clients that keep their connection.
    _waiting: ClassVar[dict["BoundedConnection", None]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_has_begun = False
        self._head_bytes = 0
        self._data_bytes = 0
        self._idle_since: float | None = None  # by the loop's clock; None while there is a request
        self._idle_timer: asyncio.TimerHandle | None = None
        # The one that is being answered; `self.cycle` may be a later one, which the client has sent ahead.
        self._answering: tuple[asyncio.Task[None], httptools_impl.RequestResponseCycle] | None = None
        # The same of one that takes the short way, and the route of one that will if the rest of it is here already.
        self._journey: express.Journey | None = None
        self._held: inference.PredictionRoute | None = None
        self._express: express.Express | None = getattr(self.app, "express", None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes the connection, making room when there are too many by closing the one that has waited longest.

        Whoever connects to ask something does it at once: a crowd that says nothing closes its own connections.
        """
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_too_slow)
        if len(self.connections) > MAX_CONNECTIONS:
            victim = next(iter(self._waiting), self)
            self._waiting.pop(victim, None)
            victim.transport.close()
        self._waiting[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._stop_head_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._waiting.pop(self, None)
        super().connection_lost(exc)
        if self._answering is not None:
            task, cycle = self._answering
            if not cycle.response_complete:
                # Nobody is there to read it: the request leaves the queue, and the guard counts it as abandoned.
                scope: asgi.Scope = cycle.scope  # type: ignore[assignment]
                scope[asgi.GONE] = True
                task.cancel()
        if self._journey is not None:
            self._journey.abandon()

    def data_received(self, data: bytes) -> None:
        """Takes bytes; refuses a head that is too large."""
        self._data_bytes = len(data)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._held is not None:  # more of it is to come, which may take time
            self._held = None
            if not self.transport.is_closing():
                self._start_task(self.cycle, self.app)
        if self._in_head and not self.transport.is_closing():
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431, f"the request's head has more than {HEAD_BYTES} bytes")
            elif self._head_has_begun and self._head_timer is None:
                # Only for a head in several pieces: the usual one is complete by now, and needs no timer.
                self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_too_slow)

    def on_message_begin(self) -> None:
        """Notes that a request's head has begun."""
        super().on_message_begin()
        self._head_has_begun = True

    def on_headers_complete(self) -> None:
        """Stops the clock and lets the request begin."""
        self._stop_head_timer()
        self._waiting.pop(self, None)
        self._in_head = self._head_has_begun = False
        # A head that arrived in few bytes has few bytes: only then is there something to add up.
        if max(self._head_bytes, self._data_bytes) > HEAD_BYTES and (
            sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES
        ):
            self._refuse(431, f"the request's head has more than {HEAD_BYTES} bytes")
            return
        if self.scheme == "https":
            # Verified by the handshake, which takes none that it can't verify.
            scope: asgi.Scope = self.scope  # type: ignore[assignment]
            scope[gate.CERTIFIED] = bool(self.transport.get_extra_info("peercert"))
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: httptools_impl.RequestResponseCycle, app: Any) -> None:
        if self._express is not None and cycle.more_body and cycle.keep_alive and app is self.app:
            self._held = self._express.find(cycle.scope)  # type: ignore[arg-type]
        if self._held is None:
            self._start_task(cycle, app)

    def _start_task(self, cycle: httptools_impl.RequestResponseCycle, app: Any) -> None:
        scope: asgi.Scope = cycle.scope  # type: ignore[assignment]
        scope[asgi.ANSWER] = functools.partial(self._answer, cycle)
        task = self.loop.create_task(cycle.run_asgi(app))
        self._answering = task, cycle
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _answer(
        self, cycle: httptools_impl.RequestResponseCycle, status: int, headers: asgi.Headers, body: bytes
    ) -> bool:
        """Writes a response in one piece; gives False where uvicorn's own way has to do it."""
        if (
            cycle.response_started
            or cycle.disconnected
            or cycle.waiting_for_100_continue
            or not cycle.keep_alive
        ):
            return False
        if self.flow.write_paused or cycle.scope["method"] == "HEAD":
            return False
        head = [httptools_impl.STATUS_LINE[status]]
        for header in (*cycle.default_headers, *headers):
            line = _line(header)
            if line is None:
                return False
            head.append(line)
        cycle.response_started = cycle.response_complete = True
        head += (b"\r\n", body)
        self.transport.write(b"".join(head))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def on_message_complete(self) -> None:
        """Ends a request's body; the next head may come."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()
        scope: asgi.Scope = self.scope  # type: ignore[assignment]
        scope[asgi.COMPLETE] = True
        route, self._held = self._held, None
        if route is None:
            return
        cycle, short = self.cycle, self._express
        if short is not None and short.takes(len(cycle.body)):
            reply = functools.partial(self._reply, cycle)
            journey = short.start(route, scope, bytes(cycle.body), reply)
            self._journey = None if journey.done() else journey  # what is wrong with it was said at once
        else:
            self._start_task(cycle, self.app)

    def _reply(
        self, cycle: httptools_impl.RequestResponseCycle, status: int, headers: asgi.Headers, body: bytes
    ) -> None:
        """Writes the answer of a request that took the short way."""
        self._journey = None
        if not self._answer(cycle, status, headers, body):
            task = self.loop.create_task(_send(cycle, status, headers, body))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)

    def on_response_complete(self) -> None:
        """Lets the connection wait for its next request."""
        self._waiting[self] = None
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        # uvicorn makes a timer after each answer and cancels it at the next request. One that looks at the clock when
        # it is over closes the connection at the same moment, and costs a request nothing.
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._idle_over)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _idle_over(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:
            return  # busy; the next answer starts the clock again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._idle_over)
        else:
            self.timeout_keep_alive_handler()

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


@functools.lru_cache(maxsize=512)
def _line(header: tuple[bytes, bytes]) -> bytes | None:
    """Gives a response header as it is written; None for one that uvicorn's own way has to look at.

    Nearly all are the same for every answer: the digest, the date of this second, a few lengths.
    """
    name, value = header
    if name == b"connection" or httptools_impl.HEADER_VALUE_RE.search(value):
        return None
    return b"%s: %s\r\n" % header


async def _send(
    cycle: httptools_impl.RequestResponseCycle, status: int, headers: asgi.Headers, body: bytes
) -> None:
    """Sends an answer as an ASGI application would."""
    await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
    await cycle.send({"type": "http.response.body", "body": body})
