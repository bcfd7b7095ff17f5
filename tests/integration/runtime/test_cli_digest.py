"""`modelyard digest` as a command of its own prints, for real servers, the digest that `fetch` finds."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.runtime import artifact_servers, fileserver, processes

FILES = {
    "iris/model.joblib": b"\x80\x04model" * 1000,
    "iris/deep/ø.txt": b"notes",
    "m.tar.gz": b"\x1f\x8bpacked",
}
KEY, SECRET, TOKEN = "test-key", "canary-of-s3", "canary-of-http"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables by which a bucket with FILES is reached."""
    with artifact_servers.s3(tmp_path_factory.mktemp("s3"), KEY, SECRET, "models", FILES) as url:
        yield {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


@pytest.fixture
def web() -> Iterator[fileserver.FileServer]:
    with fileserver.FileServer().running() as server:
        content = fileserver.answer_bytes(FILES["iris/model.joblib"])
        server.routes["/m.joblib"] = fileserver.only_for(f"Bearer {TOKEN}", content)
        yield server


def _digest(
    *words: str | Path, program: str = "modelyard", **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **variables}
    command = [BIN / program, "digest", *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    for secret in (SECRET, TOKEN):
        assert secret not in ended.stdout + ended.stderr
    return ended


@pytest.mark.parametrize("key", ["iris/model.joblib", "iris/"])
def test_what_a_bucket_holds_has_the_digest_that_fetch_finds(
    key: str, bucket: dict[str, str], tmp_path: Path
) -> None:
    given = {f"CREDENTIALS_{name}": value for name, value in bucket.items()}
    fetched = processes.fetch(tmp_path, f"s3://models/{key}", MODEL_FORMAT="sklearn", **given)
    assert fetched.termination is not None, fetched.log
    ended = _digest(f"s3://models/{key}", **bucket)
    assert (ended.returncode, ended.stdout) == (0, f"{fetched.termination['digest']}\n"), ended.stderr


def test_credentials_come_from_a_folder_too_and_kubectl_finds_it(
    web: fileserver.FileServer, tmp_path: Path
) -> None:
    (tmp_path / "HTTP_BEARER_TOKEN").write_text(TOKEN)
    by_folder = _digest(f"{web.url}/m.joblib", "--credentials-dir", tmp_path)
    by_variable = _digest(f"{web.url}/m.joblib", program="kubectl-modelyard", HTTP_BEARER_TOKEN=TOKEN)
    (tmp_path / "m.joblib").write_bytes(FILES["iris/model.joblib"])
    assert by_folder.stdout == by_variable.stdout == _digest(tmp_path / "m.joblib").stdout != ""


def test_a_closed_door_is_told_with_what_opens_it(web: fileserver.FileServer) -> None:
    ended = _digest(f"{web.url}/m.joblib")
    assert (ended.returncode, ended.stdout) == (77, "")
    assert ended.stderr.startswith("modelyard: AccessDenied: ")
    assert ended.stderr.endswith(
        "(for this command: set them in the environment, or as files in --credentials-dir)\n"
    )
