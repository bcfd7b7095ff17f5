"""`fetch` from a real S3 server."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.runtime import artifact_servers, processes

KEY, SECRET = "test-key", "canary-of-s3"
FILES = {
    "iris/model.joblib": b"\x80\x04model",
    "iris/deep/notes.txt": b"notes",
    "iris-old/model.joblib": b"\x80\x04old",
    "several/a.pkl": b"\x80\x04a",
    "several/b.pkl": b"\x80\x04b",
    "a+b%c?d/ø.pkl": b"\x80\x04name",
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a bucket `models` that holds FILES."""
    with artifact_servers.s3(tmp_path_factory.mktemp("s3"), KEY, SECRET, "models", FILES) as url:
        yield url


def _fetch(
    folder: Path, endpoint: str, uri: str, key: str = KEY, secret: str = SECRET, **more: str
) -> processes.Ended:
    return processes.fetch(
        folder, uri, LOG_LEVEL="debug", CREDENTIALS_AWS_ACCESS_KEY_ID=key, CREDENTIALS_AWS_SECRET_ACCESS_KEY=secret,
        CREDENTIALS_AWS_REGION="us-east-1", CREDENTIALS_AWS_ENDPOINT_URL=endpoint, **more,
    )  # fmt: skip


@pytest.mark.parametrize("key", ["iris/model.joblib", "a+b%c?d/ø.pkl"])
def test_an_object_arrives_whatever_its_key(endpoint: str, tmp_path: Path, key: str) -> None:
    ended = _fetch(tmp_path, endpoint, f"s3://models/{key}")
    assert ended.exit_code == 0, ended.log
    (file,) = (tmp_path / "artifact/content").iterdir()
    assert file.read_bytes() == FILES[key]
    assert SECRET not in ended.log


def test_a_prefix_arrives_as_a_folder(endpoint: str, tmp_path: Path) -> None:
    lines = "".join(
        f"{key.removeprefix('iris/')}\0{hashlib.sha256(FILES[key]).hexdigest()}\n"
        for key in ("iris/deep/notes.txt", "iris/model.joblib")
    )
    digest = "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
    ended = _fetch(tmp_path, endpoint, "s3://models/iris/", MODEL_DIGEST=digest)
    assert ended.exit_code == 0, ended.log
    content = tmp_path / "artifact/content/iris"
    assert {path.relative_to(content).as_posix() for path in content.rglob("*") if path.is_file()} == {
        "model.joblib", "deep/notes.txt",
    }  # fmt: skip


FAILURES: dict[str, tuple[str, dict[str, str], int, str, tuple[str, ...]]] = {
    "a key that is not there": (
        "s3://models/iris/none.pkl", {}, 66, "ArtifactNotFound", ("s3://models/iris/none.pkl", "check bucket and key"),
    ),
    "a bucket that is not there": (
        "s3://nowhere/model.pkl", {}, 66, "ArtifactNotFound", ("s3://nowhere/model.pkl", "bucket"),
    ),
    "a prefix without objects": ("s3://models/none/", {}, 66, "ArtifactNotFound", ("s3://models/none/",)),
    "an unknown access key": (
        "s3://models/iris/model.joblib", {"key": "nobody"}, 77, "AccessDenied", ("AWS_ACCESS_KEY_ID",),
    ),
    "a wrong secret key": (
        "s3://models/iris/model.joblib", {"secret": "canary-of-s3-wrong"}, 77, "AccessDenied",
        ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"),
    ),
    "no access key": (
        "s3://models/iris/model.joblib", {"key": "", "secret": ""}, 77, "AccessDenied", ("no credentials were given",),
    ),
    "an endpoint that is no URL": (
        "s3://models/iris/model.joblib", {"endpoint": "canary.example"}, 78, "SettingsInvalid",
        ("AWS_ENDPOINT_URL is not the http: or https: URL",),
    ),
    "half a pair of keys": (
        "s3://models/iris/model.joblib", {"secret": ""}, 78, "SettingsInvalid", ("AWS_SECRET_ACCESS_KEY",),
    ),
    "a folder of several models": (
        "s3://models/several/", {}, 76, "FormatUnknown", ("2 files", "model.joblib"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_has_its_reason_code_and_remedy(endpoint: str, tmp_path: Path, case: str) -> None:
    uri, changes, code, reason, words = FAILURES[case]
    ended = _fetch(tmp_path, uri=uri, **{"endpoint": endpoint, **changes})
    processes.assert_failed(ended, code, reason, *words)


def test_an_endpoint_where_nobody_listens_is_named(tmp_path: Path) -> None:
    ended = _fetch(tmp_path, f"http://127.0.0.1:{processes.free_port()}", "s3://models/m.pkl")
    assert ended.exit_code == 69
    assert ended.termination is not None
    assert "S3 server at 127.0.0.1:" in ended.termination["message"]
    assert "connection refused" in ended.termination["message"]
