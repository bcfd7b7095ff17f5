"""`fetch` and what networks do: ranges, broken connections, changed files, TLS, proxies, and credentials on the way."""

import contextlib
import hashlib
import http.server
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runtime import certificates, fileserver, processes

MIB = 1024**2
LARGE = b"\x80\x04" + hashlib.shake_128(b"large").digest(80 * MIB - 2)
SMALL = b"\x80\x04" + b"model" * 1000


@pytest.fixture
def web() -> Iterator[fileserver.FileServer]:
    with fileserver.FileServer().running() as server:
        server.routes["/m.pkl"] = fileserver.answer_bytes(SMALL)
        yield server


class Ranges:
    """Answers ranges of content, and breaks off on request.

    Attributes:
        content, etag: what there is.
        breaks: after how many bytes each of the next answers breaks off.
        sent_bytes: what was sent in all.
        ranges: the Range header of each request.
    """

    def __init__(self, content: bytes, etag: str = '"one"', breaks: tuple[int, ...] = ()) -> None:
        self.content, self.etag, self.breaks = content, etag, list(breaks)
        self.sent_bytes = 0
        self.ranges: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def __call__(self, handler: Any) -> None:
        with self._lock:
            self.before()
            self.ranges.append(handler.headers["range"])
            content, etag = self.content, self.etag
            limit = self.breaks.pop(0) if self.breaks else None
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.ranges[-1])
        assert match
        start, end = int(match[1]), min(int(match[2] or len(content)) + 1, len(content))
        handler.send_response(206)
        handler.send_header("content-range", f"bytes {start}-{end - 1}/{len(content)}")
        handler.send_header("content-length", str(end - start))
        handler.send_header("etag", etag)
        handler.end_headers()
        part = memoryview(content)[start : end if limit is None else min(end, start + limit)]
        handler.wfile.write(part)
        with self._lock:
            self.sent_bytes += len(part)
        handler.close_connection = limit is not None


def _arrived(tmp_path: Path, name: str = "m.pkl") -> bytes:
    return (tmp_path / "artifact/content" / name).read_bytes()


def test_a_large_file_comes_in_ranges(web: fileserver.FileServer, tmp_path: Path) -> None:
    web.routes["/m.pkl"] = ranges = Ranges(LARGE)
    ended = processes.fetch(tmp_path, f"{web.url}/m.pkl")
    assert ended.exit_code == 0, ended.log
    assert _arrived(tmp_path) == LARGE
    assert sorted(ranges.ranges) == [
        "bytes=0-33554431", "bytes=33554432-67108863", "bytes=67108864-83886079",
    ]  # fmt: skip
    assert ranges.sent_bytes == len(LARGE)


def test_a_broken_range_goes_on_where_it_broke(web: fileserver.FileServer, tmp_path: Path) -> None:
    web.routes["/m.pkl"] = ranges = Ranges(LARGE, breaks=(10 * MIB, 3 * MIB, MIB))
    ended = processes.fetch(
        tmp_path, f"{web.url}/m.pkl", MODEL_DIGEST="sha256:" + hashlib.sha256(LARGE).hexdigest()
    )
    assert ended.exit_code == 0, ended.log
    assert ranges.sent_bytes == len(LARGE)
    assert len(ended.lines("fetch attempt failed")) == 3


def test_a_file_that_changes_between_two_ranges_is_one_of_the_versions(
    web: fileserver.FileServer, tmp_path: Path
) -> None:
    ranges = Ranges(LARGE)
    other = LARGE[:-1] + b"!"

    def change() -> None:
        if len(ranges.ranges) == 2:
            ranges.content, ranges.etag = other, '"two"'

    ranges.before = change
    web.routes["/m.pkl"] = ranges
    ended = processes.fetch(tmp_path, f"{web.url}/m.pkl")
    assert ended.exit_code == 0, ended.log
    assert _arrived(tmp_path) == other
    assert "was changed while it was fetched" in ended.log


def test_another_form_of_the_file_is_refused(web: fileserver.FileServer, tmp_path: Path) -> None:
    def answer(handler: Any) -> None:
        assert handler.headers["accept-encoding"] == "identity"
        handler.send_response(200)
        handler.send_header("content-encoding", "gzip")
        handler.send_header("content-length", "3")
        handler.end_headers()
        handler.wfile.write(b"abc")

    web.routes["/m.pkl"] = answer
    ended = processes.fetch(tmp_path, f"{web.url}/m.pkl")
    assert ended.termination is not None
    assert "Content-Encoding: 'gzip'" in ended.termination["message"]


def test_chunks_without_a_length_are_taken_up_to_the_limit(
    web: fileserver.FileServer, tmp_path: Path
) -> None:
    web.routes["/m.pkl"] = fileserver.answer_chunked(SMALL)
    assert processes.fetch(tmp_path, f"{web.url}/m.pkl").exit_code == 0
    assert _arrived(tmp_path) == SMALL
    (tmp_path / "small").mkdir()
    ended = processes.fetch(tmp_path / "small", f"{web.url}/m.pkl", MAX_ARTIFACT_BYTES="4999")
    assert ended.termination is not None
    assert ended.termination["reason"] == "ArtifactTooLarge"


def test_redirects_end(web: fileserver.FileServer, tmp_path: Path) -> None:
    web.routes["/round"] = fileserver.redirect("/round")
    ended = processes.fetch(tmp_path, f"{web.url}/round")
    assert ended.termination is not None
    assert "redirects more than 5 times" in ended.termination["message"]


def test_by_default_loopback_is_refused_and_nothing_connects(
    web: fileserver.FileServer, tmp_path: Path
) -> None:
    ended = processes.fetch(tmp_path, f"{web.url}/m.pkl", ALLOWED_ADDRESSES="")
    assert ended.exit_code == 81
    assert ended.termination is not None
    assert ended.termination["reason"] == "AddressRefused"
    for word in ("127.0.0.1", "loopback", "administrator", "MODELYARD_ALLOWED_ADDRESSES"):
        assert word in ended.termination["message"]
    assert web.requests == []


@pytest.mark.parametrize("target", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_login_stays_with_its_server(
    web: fileserver.FileServer, tmp_path: Path, target: str, code: int
) -> None:
    with fileserver.FileServer().running() as other:
        other.routes["/m.pkl"] = fileserver.answer_bytes(SMALL)
        web.routes["/away"] = fileserver.redirect(f"http://{target}:{other.port}/m.pkl", code)
        ended = processes.fetch(tmp_path, f"{web.url}/away", CREDENTIALS_HTTP_BEARER_TOKEN="canary")
        assert ended.exit_code == 0, ended.log
        assert other.authorizations == [None]


def test_credentials_are_sent_to_no_host_that_they_are_not_for(
    web: fileserver.FileServer, tmp_path: Path
) -> None:
    ended = processes.fetch(
        tmp_path,
        f"{web.url}/m.pkl",
        CREDENTIALS_HTTP_BEARER_TOKEN="canary",
        CREDENTIALS_ALLOWED_HOSTS="*.example.com",
    )
    assert ended.exit_code == 77
    assert ended.termination is not None
    assert "'127.0.0.1'" in ended.termination["message"]
    assert web.requests == []
    assert processes.fetch(
        tmp_path, f"{web.url}/m.pkl", CREDENTIALS_HTTP_BEARER_TOKEN="canary", CREDENTIALS_ALLOWED_HOSTS="127.0.0.1"
    ).exit_code == 0  # fmt: skip


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    certificates.authority(folder)
    certificates.certificate(folder, "server")
    certificates.certificate(folder, "server", "other.key", "other.crt", hosts="DNS:other.example")
    certificates.certificate(folder, "server", "old.key", "old.crt", dates=("-days", "-1"))
    return folder


@contextlib.contextmanager
def _tls(folder: Path, name: str) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(SMALL)))
            self.end_headers()
            self.wfile.write(SMALL)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def test_an_authority_of_ones_own_is_trusted_by_the_secret_or_by_the_administrator(
    signed: Path, tmp_path: Path
) -> None:
    authority = (signed / "ca.crt").read_text()
    with _tls(signed, "tls") as port:
        for number, variables in enumerate(({"CREDENTIALS_ca.crt": authority}, {"CA_BUNDLE": authority})):
            folder = tmp_path / str(number)
            folder.mkdir()
            ended = processes.fetch(folder, f"https://127.0.0.1:{port}/m.pkl", **variables)
            assert ended.exit_code == 0, ended.log
            assert _arrived(folder) == SMALL


@pytest.mark.parametrize(
    ("certificate", "knows", "words"),
    [
        ("tls", False, "signed by an unknown authority"),
        ("other", True, "is for another host name"),
        ("old", True, "has expired"),
    ],
)
def test_a_certificate_that_is_not_right_is_told(
    signed: Path, tmp_path: Path, certificate: str, knows: bool, words: str
) -> None:
    authority = {"CA_BUNDLE": (signed / "ca.crt").read_text()} if knows else {}
    with _tls(signed, certificate) as port:
        ended = processes.fetch(tmp_path, f"https://127.0.0.1:{port}/m.pkl", **authority)
    assert ended.exit_code == 69
    assert ended.termination is not None
    assert words in ended.termination["message"]


def test_a_bundle_without_a_certificate_is_told(web: fileserver.FileServer, tmp_path: Path) -> None:
    ended = processes.fetch(tmp_path, f"https://127.0.0.1:{web.port}/m.pkl", CA_BUNDLE="none")
    assert ended.exit_code == 78
    assert ended.termination is not None
    assert "MODELYARD_CA_BUNDLE" in ended.termination["message"]


class ConnectProxy:
    """The administrator's proxy: takes CONNECT with a login and passes everything on.

    Attributes:
        asked: the targets it was asked for.
    """

    def __init__(self, login: str) -> None:
        self.asked: list[str] = []
        self._login = login
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = client.recv(65536).decode()
        target = head.split(" ")[1]
        self.asked.append(target)
        if f"Proxy-Authorization: {self._login}" not in head:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            client.close()
            return
        host, _, port = target.rpartition(":")
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join(10)
        client.close()
        server.close()

    def close(self) -> None:
        self._listener.close()


def _pump(origin: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := origin.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    one = ConnectProxy(fileserver.basic("me", "canary"))
    yield one
    one.close()


def test_tls_goes_through_the_administrators_proxy(signed: Path, tmp_path: Path, proxy: ConnectProxy) -> None:
    authority = (signed / "ca.crt").read_text()
    url = f"http://me:canary@127.0.0.1:{proxy.port}"
    with _tls(signed, "tls") as port:
        uri = f"https://127.0.0.1:{port}/m.pkl"
        ended = processes.fetch(tmp_path, uri, CA_BUNDLE=authority, HTTPS_PROXY=url, LOG_LEVEL="debug")
        assert ended.exit_code == 0, ended.log
        assert proxy.asked == [f"127.0.0.1:{port}"]
        assert "canary" not in ended.log
        (tmp_path / "around").mkdir()
        around = processes.fetch(
            tmp_path / "around", uri, CA_BUNDLE=authority, HTTPS_PROXY=url, NO_PROXY="127.0.0.0/8"
        )
        assert around.exit_code == 0
        assert len(proxy.asked) == 1


def test_a_proxy_that_says_no_is_told(tmp_path: Path, proxy: ConnectProxy) -> None:
    ended = processes.fetch(
        tmp_path, "https://127.0.0.1:1/m.pkl", HTTPS_PROXY=f"http://me:wrong@127.0.0.1:{proxy.port}"
    )
    assert ended.exit_code == 69
    assert ended.termination is not None
    assert "the proxy answered 407" in ended.termination["message"]


def test_what_is_forbidden_is_not_asked_of_the_proxy_either(tmp_path: Path, proxy: ConnectProxy) -> None:
    ended = processes.fetch(
        tmp_path,
        "https://127.0.0.1:1/m.pkl",
        HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}",
        ALLOWED_ADDRESSES="",
    )
    assert ended.exit_code == 81
    assert proxy.asked == []
