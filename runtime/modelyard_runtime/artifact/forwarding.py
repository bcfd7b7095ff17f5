"""A forward proxy on loopback for libraries that bring their own network stack, so that they too use the one door out.

Started by `artifact.egress` when a source asks for its address. It knows CONNECT, for TLS, which it passes on unread,
and plain HTTP requests, one to a connection. It connects with the function it is given and judges nothing itself.
A password made for this process keeps others out who share its loopback; it is part of the proxy's URL.
"""

import base64
import contextlib
import dataclasses
import hmac
import logging
import secrets
import select
import socket
import threading
import urllib.parse
from collections.abc import Callable

from modelyard_runtime import errors
from modelyard_runtime.artifact import identity

_log = logging.getLogger(__name__)
# (host, port, is_tls, for_identity) → a connected socket; raises StartFailure or OSError.
Connect = Callable[[str, int, bool, bool], socket.socket]
_HEAD_SECONDS = 10.0  # a library on the same machine sends its request at once
_IDLE_SECONDS = 120  # longer than any source waits for a byte: the sources decide, this only sweeps up
_LONGEST_HEAD_BYTES = 64 * 1024
_BUFFER_BYTES = 256 * 1024
_USER = "modelyard"
MARK = b"modelyard-no-connection"  # the body of an answer that is the proxy's own, for whoever reads a library's error


class _BadRequest(Exception):  # noqa: N818 - named for what it means
    """A request that gets this status line and nothing else."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    method: str
    host: str
    port: int
    target: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        return next((value for each, value in self.headers if each.lower() == name), "")


class Forwarder:
    """The proxy of one process.

    Attributes:
        url: where it listens, with the password.
    """

    def __init__(self, connect: Connect, granted: identity.Identity) -> None:
        self._connect = connect
        self._identity = granted
        password = secrets.token_urlsafe(24)
        self._expected = "Basic " + base64.b64encode(f"{_USER}:{password}".encode()).decode("ascii")
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://{_USER}:{password}@127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="forwarding", daemon=True).start()

    def close(self) -> None:
        """Takes no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), name="forwarding", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.closing(client):
            try:
                client.settimeout(_HEAD_SECONDS)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                head, rest = _read_head(client)
                request = _parse(head)
                if not hmac.compare_digest(request.header("proxy-authorization"), self._expected):
                    raise _BadRequest("407 Proxy Authentication Required\r\nProxy-Authenticate: Basic")
                self._forward(client, request, rest)
            except _BadRequest as refused:
                _answer(client, refused.status)
            except errors.StartFailure:
                _answer(client, "403 Forbidden")  # `Egress` remembers why, here and below
            except TimeoutError:
                _answer(client, "504 Gateway Timeout")
            except OSError as error:
                _log.debug("forwarding ended", extra={"fields": {"problem": str(error)}})
                _answer(client, "502 Bad Gateway")

    def _forward(self, client: socket.socket, request: _Request, rest: bytes) -> None:
        if request.method == "CONNECT":
            with contextlib.closing(self._connect(request.host, request.port, True, False)) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _relay(client, server, rest, None)
            return
        length = _body_length(request)
        for_identity = self._identity.allows(
            request.host, request.port, request.target, {name.lower() for name, _ in request.headers}
        )
        with contextlib.closing(self._connect(request.host, request.port, False, for_identity)) as server:
            server.sendall(_head_for_server(request))
            _relay(client, server, rest, length)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        more = client.recv(_LONGEST_HEAD_BYTES)
        if not more or len(received) > _LONGEST_HEAD_BYTES:
            raise _BadRequest("400 Bad Request")
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _parse(head: bytes) -> _Request:
    try:
        first, *lines = head.decode("latin-1").split("\r\n")
        method, url, _ = first.split(" ")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        parts = urllib.parse.urlsplit(f"//{url}" if method == "CONNECT" else url)
        port = parts.port or (443 if method == "CONNECT" else 80)
    except ValueError:
        raise _BadRequest("400 Bad Request") from None
    if not parts.hostname or parts.scheme not in ("", "http"):
        raise _BadRequest("400 Bad Request")
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return _Request(method, parts.hostname, port, target, headers)


def _body_length(request: _Request) -> int:
    if request.header("transfer-encoding"):
        raise _BadRequest("411 Length Required")
    length = request.header("content-length") or "0"
    if not (length.isascii() and length.isdigit()):
        raise _BadRequest("400 Bad Request")
    return int(length)


def _head_for_server(request: _Request) -> bytes:
    """Gives the request as the server itself is asked: one request, after which the connection ends.

    A client keeps a connection to its proxy for the next request, which may be for another server.
    """
    dropped = ("proxy-authorization", "proxy-connection", "connection", "keep-alive")
    lines = [f"{name}: {value}" for name, value in request.headers if name.lower() not in dropped]
    return "\r\n".join(
        (f"{request.method} {request.target} HTTP/1.1", *lines, "Connection: close", "", "")
    ).encode("latin-1")


def _relay(client: socket.socket, server: socket.socket, first: bytes, left: int | None) -> None:
    """Passes bytes on both ways until one side ends; `left` bounds what the client may still send."""
    client.settimeout(_IDLE_SECONDS)
    server.settimeout(_IDLE_SECONDS)
    if left is not None:
        left -= len(first)
        if left < 0:
            return
    server.sendall(first)
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    poller = select.poll()
    for side in (client, server):
        poller.register(side, select.POLLIN)
    while ready := poller.poll(_IDLE_SECONDS * 1000):
        for descriptor, _ in ready:
            is_answer = descriptor == server.fileno()
            origin, target = (server, client) if is_answer else (client, server)
            received = origin.recv_into(buffer)
            if not is_answer and left is not None:
                left -= received
            if not received or (left is not None and left < 0):
                return
            target.sendall(buffer[:received])


def _answer(client: socket.socket, status: str) -> None:
    with contextlib.suppress(OSError):
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(MARK)}\r\nConnection: close\r\n\r\n"
        client.sendall(head.encode("ascii") + MARK)
