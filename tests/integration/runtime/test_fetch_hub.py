"""`fetch` from a hub of models; the hub is a fake, and the hub's own client proves it."""

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import environments
from tests.integration.runtime import hub as hubs
from tests.integration.runtime import oci_fetching, processes

MODEL = b"\x80\x04" + bytes(range(256)) * 4000
FILES = {
    "model.joblib": MODEL,
    "config.json": b"{}",
    "onnx/model.onnx": b"onnx",
    "onnx/a b+c%20ü.json": b"[]",
    ".gitattributes": b"*.bin lfs",
    "README.md": b"# Iris",
    "LICENSE": b"free",
}
# Everything that the real client may be asked for here, and what came of it.
_CLIENT = """
import base64, json, pathlib, sys
import huggingface_hub
from huggingface_hub import errors
what, endpoint, cache, token, *arguments = sys.argv[1:]
options = {"endpoint": endpoint, "cache_dir": cache, "token": token or False}
try:
    if what == "snapshot":
        repository, revision = arguments
        root = pathlib.Path(huggingface_hub.snapshot_download(repository, revision=revision, **options))
        files = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    else:
        repository, revision, path = arguments
        found = huggingface_hub.hf_hub_download(repository, path, revision=revision, **options)
        files = {path: pathlib.Path(found).read_bytes()}
    told = {"files": {path: base64.b64encode(each).decode() for path, each in files.items()}}
except errors.HfHubHTTPError as error:
    told = {"error": type(error).__name__}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[hubs.Hub]:
    """A hub with one repository of each kind."""
    repositories = {
        "org/iris": hubs.Repository(FILES, {"model.joblib": b"\x80\x04old", "README.md": b"old"}),
        "org/private": hubs.Repository({"model.joblib": MODEL}, access="private"),
        "org/gated": hubs.Repository({"model.joblib": MODEL}, access="gated"),
        "org/empty": hubs.Repository({"README.md": b"soon"}),
    }
    with hubs.running(repositories) as found:
        yield found


def _real_client(hub: hubs.Hub, folder: Path, what: str, *arguments: str, token: str = "") -> dict[str, Any]:
    """What the hub's own client makes of it."""
    python = environments.ensure(Path(__file__).parent / "artifact_clients.txt")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    ran = subprocess.run(
        [python, "-c", _CLIENT, what, hub.url, folder / "cache", token, *arguments],
        check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


def _fetch(folder: Path, hub: hubs.Hub, name: str, token: str = "", **variables: str) -> processes.Ended:
    folder.mkdir(exist_ok=True)
    given = {"CREDENTIALS_HF_TOKEN": token} if token else {}
    ended = processes.fetch(
        folder, f"hf://{name}", LOG_LEVEL="debug", CREDENTIALS_HF_ENDPOINT=hub.url, **given, **variables
    )
    assert "canary" not in str(ended)
    assert "Traceback" not in ended.log
    return ended


def test_the_real_client_downloads_from_this_hub_what_fetch_does(hub: hubs.Hub, tmp_path: Path) -> None:
    theirs = _real_client(hub, tmp_path / "client", "snapshot", "org/iris", "main")
    assert theirs == {"files": hubs.encoded(FILES)}
    ended = _fetch(tmp_path, hub, "org/iris")
    assert ended.exit_code == 0, ended.log
    # All but what is for people and for git.
    wanted = {
        path: each for path, each in FILES.items() if path not in (".gitattributes", "README.md", "LICENSE")
    }
    assert oci_fetching.files(tmp_path) == wanted


@pytest.mark.parametrize("revision", ["main", "v1", "refs/pr/1", hubs.OLDER])
def test_a_file_of_a_revision_is_the_real_clients(hub: hubs.Hub, tmp_path: Path, revision: str) -> None:
    theirs = _real_client(hub, tmp_path / "client", "file", "org/iris", revision, "model.joblib")
    ended = _fetch(tmp_path, hub, f"org/iris@{revision.replace('/', '%2F')}/model.joblib")
    assert ended.exit_code == 0, ended.log
    assert oci_fetching.files(tmp_path) == {"": base64.b64decode(theirs["files"]["model.joblib"])}


def test_one_file_has_the_digest_of_its_bytes_and_a_folder_its_own_paths(
    hub: hubs.Hub, tmp_path: Path
) -> None:
    digest = f"sha256:{hashlib.sha256(MODEL).hexdigest()}"
    assert _fetch(tmp_path / "file", hub, "org/iris/model.joblib", MODEL_DIGEST=digest).exit_code == 0
    ended = _fetch(tmp_path / "folder", hub, "org/iris/onnx", MODEL_FORMAT="onnx")
    assert ended.exit_code == 0, ended.log
    assert oci_fetching.files(tmp_path / "folder") == {"model.onnx": b"onnx", "a b+c%20ü.json": b"[]"}


def test_the_token_goes_to_the_hub_and_never_to_where_it_sends_large_files_from(
    hub: hubs.Hub, tmp_path: Path
) -> None:
    hub.asked.clear()
    assert _fetch(tmp_path, hub, "org/private/model.joblib", hubs.TOKEN).exit_code == 0
    logins = {(asked.server, asked.authorization) for asked in hub.asked}
    assert logins == {("hub", f"Bearer {hubs.TOKEN}"), ("storage", None)}


def test_every_file_comes_from_the_commit_that_the_branch_was_at(hub: hubs.Hub, tmp_path: Path) -> None:
    hub.asked.clear()
    assert _fetch(tmp_path, hub, "org/iris/onnx", MODEL_FORMAT="onnx").exit_code == 0
    resolved = [asked.path for asked in hub.asked if "/resolve/" in asked.path]
    assert resolved
    assert all(path.startswith(f"/org/iris/resolve/{hubs.COMMIT}/") for path in resolved)
    assert len([asked for asked in hub.asked if asked.path.startswith("/api/")]) == 1


# case: (repository, revision, file), token, what the real client calls it, our reason, words
FAILURES: dict[str, tuple[tuple[str, str, str], str, str, str, str]] = {
    "a repository that is not there": (
        ("org/none", "main", "model.joblib"), "", "RepositoryNotFoundError", "ArtifactNotFound", "or is private",
    ),
    "a private one without a token": (
        ("org/private", "main", "model.joblib"), "", "RepositoryNotFoundError", "ArtifactNotFound", "HF_TOKEN",
    ),
    "a private one with another token": (
        ("org/private", "main", "model.joblib"), "canary-wrong", "RepositoryNotFoundError", "ArtifactNotFound",
        "HF_TOKEN",
    ),
    "a gated one": (
        ("org/gated", "main", "model.joblib"), "", "GatedRepoError", "AccessDenied", "accept its conditions",
    ),
    "a revision that is not there": (
        ("org/iris", "none", "model.joblib"), "", "RevisionNotFoundError", "ArtifactNotFound", "no such revision",
    ),
    "a file that is not there": (
        ("org/iris", "main", "none.onnx"), "", "RemoteEntryNotFoundError", "ArtifactNotFound",
        "no 'none.onnx' at 'main'; it has config.json, model.joblib",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_the_one_that_the_real_client_knows(hub: hubs.Hub, tmp_path: Path, case: str) -> None:
    (repository, revision, path), token, theirs, reason, words = FAILURES[case]
    told = _real_client(hub, tmp_path / "client", "file", repository, revision, path, token=token)
    assert told == {"error": theirs}
    ended = _fetch(tmp_path, hub, f"{repository}@{revision}/{path}", token)
    assert ended.termination is not None, ended.log
    assert ended.termination["reason"] == reason
    assert words in ended.termination["message"]


def test_a_repository_without_a_model_is_told(hub: hubs.Hub, tmp_path: Path) -> None:
    ended = _fetch(tmp_path, hub, "org/empty")
    assert ended.termination is not None
    assert ended.termination["reason"] == "ArtifactNotFound"
    assert "no file that could be part of a model" in ended.termination["message"]


def test_a_large_file_of_other_bytes_than_the_list_says_is_no_artifact(tmp_path: Path) -> None:
    with hubs.running({"org/iris": hubs.Repository({"model.joblib": MODEL})}) as hub:
        hub.damaged.add("model.joblib")
        ended = _fetch(tmp_path, hub, "org/iris/model.joblib")
    assert ended.termination is not None
    assert ended.termination["reason"] == "FetchFailed"
    assert "arrived with the digest" in ended.termination["message"]
    assert not (tmp_path / "artifact/content").exists()


def test_the_token_goes_to_no_mirror_that_the_secret_does_not_allow(hub: hubs.Hub, tmp_path: Path) -> None:
    hub.asked.clear()
    ended = _fetch(tmp_path, hub, "org/iris", hubs.TOKEN, CREDENTIALS_ALLOWED_HOSTS="huggingface.co")
    assert ended.termination is not None
    assert ended.termination["reason"] == "AccessDenied"
    assert hub.asked == []


def test_a_mirror_that_is_no_url_is_a_wrong_setting(tmp_path: Path) -> None:
    ended = processes.fetch(tmp_path, "hf://org/iris", CREDENTIALS_HF_ENDPOINT="mirror.example")
    assert ended.termination is not None
    assert ended.termination["reason"] == "SettingsInvalid"
    assert "HF_ENDPOINT" in ended.termination["message"]
