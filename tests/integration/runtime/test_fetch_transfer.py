"""`fetch` and what networks do: ranges, broken connections, changed files, redirects, and credentials on the way."""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runtime import fileserver, processes

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
