"""An HTTP server for artifacts that misbehaves on request."""

import base64
import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.support import webserver

_BEAT_SECONDS = 0.25


class FileServer:
    """A server on loopback, or on another address of this machine.

    Attributes:
        routes: path (without query) → function that answers through the handler it is given.
        requests: the paths with query, in the order in which they came.
        authorizations: the Authorization header of each request, or None.
        port: where it listens while it is running.
        url: the same as a URL.
    """

    def __init__(self, host: str = webserver.LOOPBACK) -> None:
        self._host = host
        self.routes: dict[str, Callable[[Any], None]] = {}
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []
        self.port = 0
        self.url = ""

    @contextlib.contextmanager
    def running(self) -> Iterator["FileServer"]:
        """Serves while the block runs."""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append(self.path)
                outer.authorizations.append(self.headers.get("authorization"))
                outer.routes.get(self.path.partition("?")[0], answer_code(404))(self)

            def log_message(self, *_: object) -> None:
                pass

        with webserver.serving(Handler, host=self._host) as self.port:
            self.url = f"http://{self._host}:{self.port}"
            yield self


def answer_code(code: int) -> Callable[[Any], None]:
    """Answers with a code and nothing else."""
    return lambda handler: _send(handler, code, b"")


def answer_bytes(content: bytes) -> Callable[[Any], None]:
    """Answers with content."""
    return lambda handler: _send(handler, 200, content)


def answer_zeros(size_bytes: int) -> Callable[[Any], None]:
    """Answers with that many bytes, made while they are sent."""

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(size_bytes))
        handler.end_headers()
        chunk = b"\x80\x04" + bytes(1024**2 - 2)
        for start in range(0, size_bytes, len(chunk)):
            handler.wfile.write(chunk[: size_bytes - start])

    return answer


def answer_slowly(content: bytes, bytes_per_second: int, is_over: threading.Event) -> Callable[[Any], None]:
    """Sends content at a bounded rate, and the rest of it at once when that is over."""

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        sent = 0
        while sent < len(content) and not is_over.wait(_BEAT_SECONDS):
            end = sent + int(bytes_per_second * _BEAT_SECONDS)
            handler.wfile.write(content[sent:end])
            sent = end
        handler.wfile.write(content[sent:])

    return answer


def answer_part(content: bytes) -> Callable[[Any], None]:
    """Announces content, sends half of it and hangs up."""

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])
        handler.close_connection = True

    return answer


def answer_chunked(content: bytes) -> Callable[[Any], None]:
    """Sends content without saying how long it is."""

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n" % len(content) + content + b"\r\n0\r\n\r\n")

    return answer


def answer_until_closed(content: bytes) -> Callable[[Any], None]:
    """Sends content whose end only the end of the connection tells."""

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True

    return answer


def redirect(target: str, code: int = 302) -> Callable[[Any], None]:
    """Sends the client elsewhere."""
    return lambda handler: _send(handler, code, b"", ("location", target))


def in_turn(*answers: Callable[[Any], None]) -> Callable[[Any], None]:
    """One answer after the other, the last one for ever."""
    left = list(answers)

    def answer(handler: Any) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


def only_for(authorization: str, answer: Callable[[Any], None]) -> Callable[[Any], None]:
    """Answers 401 to everybody else."""

    def check(handler: Any) -> None:
        given = handler.headers.get("authorization")
        (answer if given == authorization else answer_code(401))(handler)

    return check


def basic(username: str, password: str) -> str:
    """The Authorization header for a user."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _send(handler: Any, code: int, content: bytes, *headers: tuple[str, str]) -> None:
    handler.send_response(code)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
