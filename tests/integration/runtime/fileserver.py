"""An HTTP server for artifacts that misbehaves on request."""

import base64
import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any


class FileServer:
    """A server on loopback.

    Attributes:
        routes: path (without query) → function that answers through the handler it is given.
        requests: the paths with query, in the order in which they came.
        authorizations: the Authorization header of each request, or None.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Callable[[Any], None]] = {}
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append(self.path)
                outer.authorizations.append(self.headers.get("authorization"))
                outer.routes.get(self.path.partition("?")[0], answer_code(404))(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @contextlib.contextmanager
    def running(self) -> Iterator["FileServer"]:
        """Serves while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


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
