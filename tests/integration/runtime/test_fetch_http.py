"""`fetch` from a real HTTP server: what arrives, what is refused, and what is never told."""

import hashlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runtime import fileserver, processes

MODEL = b"\x80\x04" + b"model" * 1000
DIGEST = "sha256:" + hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def web() -> Iterator[fileserver.FileServer]:
    """A server that has the model at /m.pkl."""
    with fileserver.FileServer().running() as server:
        server.routes["/m.pkl"] = fileserver.answer_bytes(MODEL)
        yield server


def test_a_file_arrives_verified(web: fileserver.FileServer, tmp_path: Path) -> None:
    ended = processes.fetch(tmp_path, f"{web.url}/m.pkl", MODEL_DIGEST=DIGEST)
    told = {"digest": DIGEST, "format": "sklearn", "bytes": len(MODEL)}
    assert (ended.exit_code, ended.termination) == (0, told), ended.log
    assert (tmp_path / "artifact/content/m.pkl").read_bytes() == MODEL
    assert json.loads((tmp_path / "artifact/manifest.json").read_bytes()) == {
        "uri": f"{web.url}/m.pkl", "digest": DIGEST, "path": "content/m.pkl", "bytes": len(MODEL),
    }  # fmt: skip


def test_redirects_are_followed(web: fileserver.FileServer, tmp_path: Path) -> None:
    web.routes["/latest"] = fileserver.redirect("/m.pkl")
    assert processes.fetch(tmp_path, f"{web.url}/latest").exit_code == 0
    assert (tmp_path / "artifact/content/latest").read_bytes() == MODEL


CREDENTIALS: dict[str, tuple[str, dict[str, str], str]] = {
    "a token": ("", {"CREDENTIALS_HTTP_BEARER_TOKEN": "canary"}, "Bearer canary"),
    "a user": (
        "", {"CREDENTIALS_HTTP_USERNAME": "me", "CREDENTIALS_HTTP_PASSWORD": "canary"},
        fileserver.basic("me", "canary"),
    ),
    "a user in the URI": ("me:canary@", {}, fileserver.basic("me", "canary")),
}  # fmt: skip


@pytest.mark.parametrize("case", CREDENTIALS)
def test_credentials_open_the_door_and_are_not_told(
    web: fileserver.FileServer, tmp_path: Path, case: str
) -> None:
    userinfo, variables, header = CREDENTIALS[case]
    web.routes["/m.pkl"] = fileserver.only_for(header, fileserver.answer_bytes(MODEL))
    uri = f"http://{userinfo}127.0.0.1:{web.port}/m.pkl?sig=canary"
    ended = processes.fetch(tmp_path, uri, LOG_LEVEL="debug", **variables)
    assert ended.exit_code == 0, ended.log
    assert web.requests == ["/m.pkl?sig=canary"]
    assert "canary" not in ended.log
    assert "canary" not in (tmp_path / "artifact/manifest.json").read_text()


def test_wrong_credentials_are_told_without_them(web: fileserver.FileServer, tmp_path: Path) -> None:
    web.routes["/m.pkl"] = fileserver.only_for("Bearer right", fileserver.answer_bytes(MODEL))
    ended = processes.fetch(
        tmp_path, f"{web.url}/m.pkl?sig=canary", CREDENTIALS_HTTP_BEARER_TOKEN="canary", LOG_LEVEL="debug"
    )
    assert ended.exit_code == 77
    assert ended.termination is not None
    assert ended.termination["reason"] == "AccessDenied"
    assert "HTTP_BEARER_TOKEN" in ended.termination["message"]
    assert "canary" not in str(ended)
    assert len(web.requests) == 1


def test_credentials_do_not_follow_to_another_host(web: fileserver.FileServer, tmp_path: Path) -> None:
    with fileserver.FileServer().running() as other:
        other.routes["/m.pkl"] = fileserver.answer_bytes(MODEL)
        web.routes["/away"] = fileserver.redirect(f"http://localhost:{other.port}/m.pkl")
        ended = processes.fetch(tmp_path, f"{web.url}/away", CREDENTIALS_HTTP_BEARER_TOKEN="canary")
        assert ended.exit_code == 0, ended.log
        assert web.authorizations == ["Bearer canary"]
        assert other.authorizations == [None]


HICCUPS: dict[str, Any] = {
    "errors of the server": [fileserver.answer_code(500)] * 5,
    "a broken connection": [fileserver.answer_part(MODEL)] * 2,
    "both": [fileserver.answer_part(MODEL), fileserver.answer_code(503), fileserver.answer_part(MODEL)],
}


@pytest.mark.parametrize("case", HICCUPS)
def test_what_passes_is_waited_for(web: fileserver.FileServer, tmp_path: Path, case: str) -> None:
    web.routes["/m.pkl"] = fileserver.in_turn(*HICCUPS[case], fileserver.answer_bytes(MODEL))
    ended = processes.fetch(tmp_path, f"{web.url}/m.pkl", MODEL_DIGEST=DIGEST)
    assert ended.exit_code == 0, ended.log
    assert len(web.requests) == len(HICCUPS[case]) + 1
    assert ended.lines("fetch attempt failed")


def _nobody(_: fileserver.FileServer) -> str:
    return f"http://127.0.0.1:{processes.free_port()}/m.pkl"


FAILURES: dict[str, tuple[Any, dict[str, str], int, str, str, str]] = {
    "a file that is not there": (
        lambda web: f"{web.url}/none.pkl", {}, 66, "ArtifactNotFound", "Fetching", "does not exist on the HTTP server",
    ),
    "a server that always fails": (
        lambda web: f"{web.url}/broken", {}, 69, "FetchFailed", "Fetching", "answered 500",
    ),
    "a connection that always breaks": (
        lambda web: f"{web.url}/part", {}, 69, "FetchFailed", "Fetching", "the connection broke",
    ),
    "nobody there": (_nobody, {}, 69, "FetchFailed", "Fetching", "connection refused"),
    "a name that does not resolve": (
        lambda _: "http://no-such-host.invalid/m.pkl", {}, 69, "FetchFailed", "Fetching", "DNS",
    ),
    "no TLS there": (
        lambda web: f"https://127.0.0.1:{web.port}/m.pkl", {}, 69, "FetchFailed", "Fetching", "does not speak TLS",
    ),
    "no length and no chunks": (lambda web: f"{web.url}/open", {}, 69, "FetchFailed", "Fetching", "Content-Length"),
    "more bytes than allowed": (
        lambda web: f"{web.url}/m.pkl", {"MAX_ARTIFACT_BYTES": "5001"}, 73, "ArtifactTooLarge", "Fetching", "5001",
    ),
    "another digest": (
        lambda web: f"{web.url}/m.pkl", {"MODEL_DIGEST": "sha256:" + "0" * 64},
        65, "DigestMismatch", "Verifying", DIGEST,
    ),
    "a page instead of a model": (
        lambda web: f"{web.url}/page", {}, 76, "FormatUnknown", "Verifying", "an HTML page",
    ),
    "an unknown scheme": (lambda _: "ftp://host/m.pkl", {}, 64, "UriUnsupported", "Fetching", "'ftp:'"),
    "a digest that is none": (
        lambda web: f"{web.url}/m.pkl", {"MODEL_DIGEST": "abc"},
        78, "SettingsInvalid", "Fetching", "MODELYARD_MODEL_DIGEST",
    ),
    "no URI": (lambda _: "", {}, 78, "SettingsInvalid", "Fetching", "MODELYARD_MODEL_URI"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_has_its_reason_code_and_remedy(
    web: fileserver.FileServer, tmp_path: Path, case: str
) -> None:
    web.routes["/broken"] = fileserver.answer_code(500)
    web.routes["/part"] = fileserver.answer_part(MODEL)
    web.routes["/open"] = fileserver.answer_until_closed(MODEL)
    web.routes["/page"] = fileserver.answer_bytes(b"<html><body>Sign in</body></html>")
    uri, variables, code, reason, stage, words = FAILURES[case]
    ended = processes.fetch(tmp_path, uri(web), **variables)
    assert ended.exit_code == code
    assert ended.termination is not None
    assert (ended.termination["reason"], ended.termination["stage"]) == (reason, stage)
    assert words in ended.termination["message"]
    assert "Traceback" not in ended.log
    assert not (tmp_path / "artifact/manifest.json").exists()


def test_a_restart_does_not_fetch_again(web: fileserver.FileServer, tmp_path: Path) -> None:
    assert processes.fetch(tmp_path, f"{web.url}/m.pkl").exit_code == 0
    ended = processes.fetch(tmp_path, f"{web.url}/m.pkl")
    assert ended.exit_code == 0
    assert ended.lines("already fetched")
    assert len(web.requests) == 1


def test_a_restart_fetches_what_was_damaged(web: fileserver.FileServer, tmp_path: Path) -> None:
    assert processes.fetch(tmp_path, f"{web.url}/m.pkl").exit_code == 0
    (tmp_path / "artifact/content/m.pkl").write_bytes(b"damaged")
    assert processes.fetch(tmp_path, f"{web.url}/m.pkl").exit_code == 0
    assert (tmp_path / "artifact/content/m.pkl").read_bytes() == MODEL


def test_memory_does_not_grow_with_the_file(web: fileserver.FileServer, tmp_path: Path) -> None:
    size_bytes = 300 * 1024**2
    web.routes["/large.pkl"] = fileserver.answer_zeros(size_bytes)
    small = processes.fetch(tmp_path, f"{web.url}/m.pkl")
    large = processes.fetch(tmp_path, f"{web.url}/large.pkl")
    assert (small.exit_code, large.exit_code) == (0, 0)
    assert (tmp_path / "artifact/content/large.pkl").stat().st_size == size_bytes
    assert large.max_rss_bytes - small.max_rss_bytes < 60 * 1024**2


def test_sigterm_ends_a_fetch_that_waits_for_bytes(web: fileserver.FileServer, tmp_path: Path) -> None:
    asked, done = threading.Event(), threading.Event()

    def stall(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        asked.set()
        done.wait(60)

    web.routes["/stall.pkl"] = stall
    variables = processes.environment(tmp_path, MODEL_URI=f"{web.url}/stall.pkl")
    # As in a container: the first process of its own process namespace, for which unhandled signals don't exist.
    process = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", processes.COMMAND, "fetch"],
        env=variables,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert asked.wait(60)
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        os.kill(child, signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    finally:
        done.set()
        process.kill()
        process.wait()
