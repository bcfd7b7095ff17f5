"""The servers of the tests: a client may hang up as it likes, a mistake is told, a handshake holds up nobody else."""

import socket
import socketserver
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.runtime import certificates
from tests.support import webserver


def _handler(answer: Callable[[socket.socket], None]) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            answer(self.request)

    return Handler


def _answer(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def _hang_up(port: int, content: bytes) -> None:
    """Sends something and resets the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(content)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_client_that_hangs_up_is_nobodys_mistake() -> None:
    def send_much(connection: socket.socket) -> None:
        while connection.recv(1):
            connection.sendall(bytes(2**20))

    with webserver.serving(_handler(send_much)) as port:
        for _ in range(20):
            _hang_up(port, b"hello")


def test_a_handler_that_fails_is_told_at_the_end() -> None:
    def fail(connection: socket.socket) -> None:
        raise LookupError(connection.recv(5))

    def ask() -> None:
        with (
            webserver.serving(_handler(fail)) as port,
            socket.create_connection(("127.0.0.1", port), timeout=30) as client,
        ):
            client.sendall(b"hello")
            assert client.recv(1) == b""

    with pytest.raises(AssertionError, match="LookupError"):
        ask()


def test_a_handshake_that_never_comes_holds_up_nobody(tmp_path: Path) -> None:
    certificates.authority(tmp_path)
    certificates.certificate(tmp_path, "server")
    tls = webserver.tls_context(tmp_path / "tls.crt", tmp_path / "tls.key")
    trusted = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    with webserver.serving(_handler(_answer), tls) as port:
        with socket.create_connection(("127.0.0.1", port)):
            answer = httpx.get(f"https://127.0.0.1:{port}/", verify=trusted, timeout=30)
        _hang_up(port, b"no handshake")
        assert answer.text == "ok"


def test_bytes_are_passed_on_both_ways() -> None:
    with webserver.serving(_handler(_answer)) as behind:
        passing = _handler(lambda client: webserver.pass_on(client, ("127.0.0.1", behind)))
        with webserver.serving(passing) as port:
            assert httpx.get(f"http://127.0.0.1:{port}/", timeout=30).text == "ok"
