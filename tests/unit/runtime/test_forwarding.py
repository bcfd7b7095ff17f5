"""The proxy for libraries: one request to a connection, nothing for strangers, and what it met is remembered."""

import dataclasses
import socket
import socketserver
import urllib.parse
from collections.abc import Iterator

import httpx
import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import addresses, egress, identity
from tests.support import webserver

ALLOWED = egress.Policy(allowed=addresses.parse_allowed("127.0.0.0/8"))


@dataclasses.dataclass
class Server:
    """Answers every request on a connection, and never ends one.

    Attributes:
        port: where it listens.
        received: what it was sent, in order.
    """

    port: int = 0
    received: list[bytes] = dataclasses.field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(65536):
                one.received.append(data)
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with webserver.serving(Handler) as one.port:
        yield one


def _connection(door: egress.Egress) -> socket.socket:
    proxy = urllib.parse.urlsplit(door.proxy_url())
    client = socket.create_connection(("127.0.0.1", proxy.port or 0), 10)
    client.settimeout(10)
    return client


def _login(door: egress.Egress) -> str:
    header: str = httpx.Proxy(door.proxy_url()).headers.get("proxy-authorization", "")
    if header:
        return header
    user, password = httpx.Proxy(door.proxy_url()).raw_auth or (b"", b"")
    basic = httpx.BasicAuth(user, password)
    return next(basic.auth_flow(httpx.Request("GET", "http://x"))).headers["authorization"]


def _ask(door: egress.Egress, head: str, with_login: bool = True) -> bytes:
    login = f"Proxy-Authorization: {_login(door)}\r\n" if with_login else ""
    with _connection(door) as client:
        client.sendall(f"{head}\r\n{login}\r\n".encode())
        answer = b""
        while data := client.recv(65536):
            answer += data
            if answer.endswith(b"ok"):
                break
        return answer


def test_a_library_reaches_what_is_allowed(server: Server) -> None:
    door = egress.Egress(ALLOWED)
    with httpx.Client(proxy=door.proxy_url()) as client:
        assert client.get(f"http://127.0.0.1:{server.port}/m?x=1").text == "ok"
    assert server.received[0].startswith(b"GET /m?x=1 HTTP/1.1\r\n")
    assert b"Connection: close" in server.received[0]
    assert b"roxy-" not in server.received[0]


def test_a_second_request_does_not_follow_the_first_to_its_server(server: Server) -> None:
    door = egress.Egress(ALLOWED)
    head = f"GET http://127.0.0.1:{server.port}/one HTTP/1.1\r\nProxy-Authorization: {_login(door)}\r\n\r\n"
    with _connection(door) as client:
        client.sendall(head.encode())
        assert client.recv(65536).endswith(b"ok")
        client.sendall(head.replace("/one", "/two").encode())
        assert client.recv(65536) == b""
    assert len(server.received) == 1


def test_two_requests_at_once_reach_nobody(server: Server) -> None:
    door = egress.Egress(ALLOWED)
    head = f"GET http://127.0.0.1:{server.port}/one HTTP/1.1\r\nProxy-Authorization: {_login(door)}\r\n\r\n"
    with _connection(door) as client:
        client.sendall((head + head).encode())
        client.recv(65536)
    assert all(b"/one" in received and received.count(b"GET ") == 1 for received in server.received)


@pytest.mark.parametrize("method", ["CONNECT 127.0.0.1:{port}", "GET http://127.0.0.1:{port}/m"])
def test_nobody_else_is_served(server: Server, method: str) -> None:
    door = egress.Egress(ALLOWED)
    answer = _ask(door, f"{method.format(port=server.port)} HTTP/1.1", with_login=False)
    assert answer.startswith(b"HTTP/1.1 407 ")
    assert server.received == []


@pytest.mark.parametrize("method", ["CONNECT 127.0.0.1:{port}", "GET http://127.0.0.1:{port}/m"])
def test_what_is_refused_is_remembered(server: Server, method: str) -> None:
    door = egress.Egress()
    answer = _ask(door, f"{method.format(port=server.port)} HTTP/1.1")
    assert answer.startswith(b"HTTP/1.1 403 ")
    failure = door.take_failure()
    assert isinstance(failure, errors.StartFailure)
    assert failure.reason is errors.Reason.ADDRESS_REFUSED
    assert door.take_failure() is None
    assert server.received == []


BAD = {
    "no request": ("hello", b"400"),
    "another scheme": ("GET ftp://127.0.0.1/m HTTP/1.1", b"400"),
    "no host": ("GET /m HTTP/1.1", b"400"),
    "a port that is none": ("CONNECT 127.0.0.1:x HTTP/1.1", b"400"),
    "a body of unknown length": ("PUT http://127.0.0.1/m HTTP/1.1\r\nTransfer-Encoding: chunked", b"411"),
    "a length that is none": ("PUT http://127.0.0.1/m HTTP/1.1\r\nContent-Length: -1", b"400"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_request_that_is_none_is_refused(case: str) -> None:
    head, code = BAD[case]
    assert _ask(egress.Egress(ALLOWED), head).startswith(b"HTTP/1.1 " + code)


def test_a_name_without_an_address_is_remembered_as_such() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    door = egress.Egress(ALLOWED, unknown)
    assert _ask(door, "CONNECT nowhere.example:443 HTTP/1.1").startswith(b"HTTP/1.1 502 ")
    assert isinstance(door.take_failure(), socket.gaierror)


def test_the_pods_identity_is_asked_with_the_clouds_own_header_only(server: Server) -> None:
    granted = identity.read({"GCE_METADATA_HOST": f"127.0.0.1:{server.port}"}, is_granted=False)
    door = egress.Egress(egress.Policy(identity=granted))
    url = f"http://127.0.0.1:{server.port}/computeMetadata/v1/"
    assert _ask(door, f"GET {url} HTTP/1.1").startswith(b"HTTP/1.1 403 ")
    assert _ask(door, f"GET {url} HTTP/1.1\r\nMetadata-Flavor: Google").endswith(b"ok")
    assert _ask(door, f"CONNECT 127.0.0.1:{server.port} HTTP/1.1").startswith(b"HTTP/1.1 403 ")


def test_the_variables_of_the_image_lose() -> None:
    environment = {"NO_PROXY": "*", "no_proxy": "*", "HTTPS_PROXY": "http://elsewhere"}
    door = egress.Egress()
    door.announce(environment)
    assert "NO_PROXY" not in environment
    assert "no_proxy" not in environment
    assert set(environment.values()) == {door.proxy_url()}
