"""`fetch` with TLS: whom it trusts, what it says of certificates, and the administrator's proxy."""

import contextlib
import dataclasses
import http.server
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.runtime import certificates, fileserver, processes
from tests.support import webserver

SMALL = b"\x80\x04" + b"model" * 1000


@pytest.fixture
def web() -> Iterator[fileserver.FileServer]:
    with fileserver.FileServer().running() as server:
        yield server


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

    tls = webserver.tls_context(folder / f"{name}.crt", folder / f"{name}.key")
    with webserver.serving(Handler, tls) as port:
        yield port


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
            assert (folder / "artifact/content/m.pkl").read_bytes() == SMALL


def test_libraries_trust_the_same_authorities(signed: Path, tmp_path: Path) -> None:
    words = []
    for number, secret in enumerate(({}, {"CREDENTIALS_ca.crt": (signed / "ca.crt").read_text()})):
        folder = tmp_path / str(number)
        folder.mkdir()
        with _tls(signed, "tls") as port:
            # The library lists; what it gets is no list, but it gets it.
            ended = processes.fetch(
                folder, "s3://bucket/folder/", CREDENTIALS_AWS_ACCESS_KEY_ID="a",
                CREDENTIALS_AWS_SECRET_ACCESS_KEY="b",
                CREDENTIALS_AWS_ENDPOINT_URL=f"https://127.0.0.1:{port}", **secret,
            )  # fmt: skip
        assert ended.termination is not None
        words.append("unknown authority" in ended.termination["message"])
    assert words == [True, False]


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


@dataclasses.dataclass
class ConnectProxy:
    """The administrator's proxy: takes CONNECT with a login and passes everything on.

    Attributes:
        port: where it listens.
        asked: the targets it was asked for.
    """

    port: int = 0
    asked: list[str] = dataclasses.field(default_factory=list)


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    one = ConnectProxy()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            one.asked.append(self.path)
            self.close_connection = True
            if self.headers.get("proxy-authorization") != fileserver.basic("me", "canary"):
                self.send_error(407)
                return
            host, _, port = self.path.rpartition(":")
            self.send_response(200)
            self.end_headers()
            webserver.pass_on(self.connection, (host, int(port)))

        def log_message(self, *_: object) -> None:
            pass

    with webserver.serving(Handler) as one.port:
        yield one


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
