"""`fetch` of what a real MLflow tracking server keeps: in its own folder, and in S3."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.runtime import artifact_servers, fileserver, processes

S3_KEY, S3_SECRET = "test-key", "canary-of-s3"
ELSEWHERE = (
    "gs://models/iris",
    "dbfs:/models/iris",
    "wasbs://models@other.blob.core.windows.net/iris",
)


@dataclasses.dataclass(frozen=True)
class World:
    """The servers and what was logged: `proxied` and `bucket` each have a run's and a model's id."""

    url: str
    s3_url: str
    folder: Path
    proxied: dict[str, str]
    bucket: dict[str, str]
    local: str
    deleted: str

    def fetch(self, folder: Path, uri: str, **more: str) -> processes.Ended:
        """Runs `fetch` with the keys of both servers."""
        keys = {
            "MLFLOW_TRACKING_URI": self.url,
            "AWS_ENDPOINT_URL": self.s3_url,
            "AWS_ACCESS_KEY_ID": S3_KEY,
            "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        }
        given = {f"CREDENTIALS_{key}": value for key, value in keys.items()}
        return processes.fetch(folder, uri, LOG_LEVEL="debug", **{**given, **more})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A tracking server and an S3 server, filled by `mlflow_setup.py`."""
    folder = tmp_path_factory.mktemp("mlflow")
    with (
        artifact_servers.s3(folder / "s3", S3_KEY, S3_SECRET, "models") as s3_url,
        artifact_servers.mlflow(folder / "server") as url,
    ):
        made = json.loads(
            artifact_servers.run_script(
                "mlflow_setup.py", url, "models", folder / "local", *ELSEWHERE, AWS_ACCESS_KEY_ID=S3_KEY,
                AWS_SECRET_ACCESS_KEY=S3_SECRET, AWS_DEFAULT_REGION="us-east-1", MLFLOW_S3_ENDPOINT_URL=s3_url,
                MLFLOW_DISABLE_TELEMETRY="true",
            )
        )  # fmt: skip
        yield World(url, s3_url, folder, **made)


def _content(folder: Path) -> dict[str, bytes]:
    (artifact,) = (folder / "artifact/content").iterdir()
    paths = [artifact] if artifact.is_file() else [path for path in artifact.rglob("*") if path.is_file()]
    return {path.relative_to(artifact).as_posix(): path.read_bytes() for path in paths}


def _digest(files: dict[str, bytes]) -> str:
    lines = sorted(
        f"{path}\0{hashlib.sha256(content).hexdigest()}\n".encode() for path, content in files.items()
    )
    return "sha256:" + hashlib.sha256(b"".join(lines)).hexdigest()


def _logged(world: World, kind: str) -> dict[str, bytes]:
    """The files of the logged model, as they are in the server's folder or in the S3 server's."""
    model = getattr(world, kind)["model"]
    roots = {"proxied": world.folder / "server/artifacts", "bucket": world.folder / "s3/buckets/models"}
    (root,) = roots[kind].rglob(f"{model}/artifacts")
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


MODELS = {
    "mlflow://models/iris/1": "proxied",
    "mlflow://models/iris/champion": "proxied",
    "mlflow://models/iris/2": "bucket",
    "runs:/{proxied}/model": "proxied",
    "runs:/{bucket}/model": "bucket",
}


@pytest.mark.parametrize("uri", MODELS)
def test_a_model_arrives_from_where_the_server_says(world: World, tmp_path: Path, uri: str) -> None:
    expected = _logged(world, MODELS[uri])
    assert "MLmodel" in expected
    named = uri.format(proxied=world.proxied["run"], bucket=world.bucket["run"])
    ended = world.fetch(tmp_path, named, MODEL_DIGEST=_digest(expected))
    assert ended.exit_code == 0, ended.log
    assert _content(tmp_path) == expected
    manifest = json.loads((tmp_path / "artifact/manifest.json").read_bytes())
    assert (manifest["uri"], manifest["digest"]) == (named, _digest(expected))
    assert "canary" not in ended.log


@pytest.mark.parametrize("kind", ["proxied", "bucket"])
def test_one_file_of_a_run_arrives(world: World, tmp_path: Path, kind: str) -> None:
    run = getattr(world, kind)["run"]
    ended = world.fetch(tmp_path, f"runs:/{run}/model/MLmodel", MODEL_FORMAT="custom")
    assert ended.exit_code == 0, ended.log
    assert list(_content(tmp_path).values()) == [_logged(world, kind)["MLmodel"]]


@pytest.mark.parametrize("kind", ["proxied", "bucket"])
def test_other_artifacts_of_a_run_arrive_as_a_folder(world: World, tmp_path: Path, kind: str) -> None:
    run = getattr(world, kind)["run"]
    ended = world.fetch(tmp_path, f"runs:/{run}/plain", MODEL_FORMAT="custom")
    assert ended.exit_code == 0, ended.log
    assert sorted(_content(tmp_path)) == ["a b.json", "deep/notes.txt"]


FAILURES: dict[str, tuple[str, dict[str, str], int, str, tuple[str, ...]]] = {
    "a model that is not there": (
        "mlflow://models/none/1", {}, 66, "ArtifactNotFound", ("no registered model 'none'", "'iris'"),
    ),
    "a version that is not there": (
        "mlflow://models/iris/99", {}, 66, "ArtifactNotFound", ("no version 99", "version 5, version 4"),
    ),
    "an alias that is not there": (
        "mlflow://models/iris/challenger", {}, 66, "ArtifactNotFound",
        ("no alias 'challenger'", "alias champion, version 5"),
    ),
    "a run that is not there": ("runs:/none/model", {}, 66, "ArtifactNotFound", ("no run 'none'",)),
    "a run that was deleted": (
        "runs:/{deleted}/model", {}, 66, "ArtifactNotFound", ("has been deleted", "mlflow runs restore"),
    ),
    "a path that is not there": (
        "runs:/{proxied}/none", {}, 66, "ArtifactNotFound", ("no such artifact", "plain"),
    ),
    "a path that is not there, in S3": (
        "runs:/{bucket}/none", {}, 66, "ArtifactNotFound", ("s3://models/mlflow/", "check bucket and key"),
    ),
    "a folder of the server itself": (
        "runs:/{local}/model", {}, 64, "UriUnsupported", ("at file:", "--artifacts-destination"),
    ),
    "a place that nobody can read": ("mlflow://models/iris/4", {}, 64, "UriUnsupported", ("at dbfs:",)),
    "another storage account than the Secret's": (
        "mlflow://models/iris/5",
        {"CREDENTIALS_AZURE_STORAGE_ACCOUNT_NAME": "mine", "CREDENTIALS_AZURE_STORAGE_ACCOUNT_KEY": "canary"},
        77, "AccessDenied", ("'other'", "'mine'"),
    ),
    "a wrong key of the place": (
        "mlflow://models/iris/2", {"CREDENTIALS_AWS_SECRET_ACCESS_KEY": "canary-wrong"}, 77, "AccessDenied",
        ("AWS_SECRET_ACCESS_KEY",),
    ),
    "a place that the administrator allows nobody": (
        "mlflow://models/iris/2", {"ALLOWED_URIS": "mlflow://models/ s3://others/"}, 86, "PolicyViolation",
        ("policy.allowedURIs", "s3://models/mlflow/", "mlflow://models/, s3://others/"),
    ),
    "a login for other hosts": (
        "mlflow://models/iris/1",
        {"CREDENTIALS_MLFLOW_TRACKING_TOKEN": "canary", "CREDENTIALS_ALLOWED_HOSTS": "*.example.com"},
        77, "AccessDenied", ("not for the host '127.0.0.1'",),
    ),
    "no tracking server": (
        "mlflow://models/iris/1", {"CREDENTIALS_MLFLOW_TRACKING_URI": ""}, 78, "SettingsInvalid",
        ("set MLFLOW_TRACKING_URI",),
    ),
    "a tracking server that is a database": (
        "mlflow://models/iris/1", {"CREDENTIALS_MLFLOW_TRACKING_URI": "sqlite:///canary.db"}, 78, "SettingsInvalid",
        ("MLFLOW_TRACKING_URI", "neither http nor https"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_has_its_reason_code_and_remedy(world: World, tmp_path: Path, case: str) -> None:
    uri, more, code, reason, words = FAILURES[case]
    named = uri.format(
        proxied=world.proxied["run"], bucket=world.bucket["run"], local=world.local, deleted=world.deleted
    )
    processes.assert_failed(world.fetch(tmp_path, named, **more), code, reason, *words)


def test_a_tracking_server_that_is_down_is_named(world: World, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{processes.free_port()}"
    ended = world.fetch(tmp_path, "mlflow://models/iris/1", CREDENTIALS_MLFLOW_TRACKING_URI=url)
    processes.assert_failed(
        ended, 69, "FetchFailed", "MLflow tracking server 127.0.0.1:", "connection refused"
    )


@pytest.mark.parametrize("body", [None, b"<html>", b"[]", b'{"registered_model": ["canary"]}', b"\xff"])
def test_a_server_of_another_kind_is_told(world: World, tmp_path: Path, body: bytes | None) -> None:
    with fileserver.FileServer().running() as other:
        if body is not None:
            other.routes["/api/2.0/mlflow/registered-models/get"] = fileserver.answer_bytes(body)
        ended = world.fetch(tmp_path, "mlflow://models/iris/1", CREDENTIALS_MLFLOW_TRACKING_URI=other.url)
        processes.assert_failed(
            ended, 69, "FetchFailed", "not that of an MLflow tracking server", "MLFLOW_TRACKING_URI"
        )


ADMIN, PASSWORD = "admin", "canary-of-the-admin"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server that asks who is there, with an empty model `iris` and a user `guest` who may see nothing."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{folder}/auth.db\n"
        f"admin_username = {ADMIN}\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    with artifact_servers.mlflow(
        folder, "--app-name", "basic-auth", MLFLOW_AUTH_CONFIG_PATH=str(folder / "auth.ini"),
        MLFLOW_AUTH_ADMIN_PASSWORD=PASSWORD, MLFLOW_FLASK_SERVER_SECRET_KEY="a",
    ) as url, httpx.Client(base_url=f"{url}/api/2.0/mlflow", auth=(ADMIN, PASSWORD)) as admin:  # fmt: skip
        admin.post(
            "/users/create", json={"username": "guest", "password": "canary-of-a-guest"}
        ).raise_for_status()
        admin.post("/registered-models/create", json={"name": "iris"}).raise_for_status()
        yield url


LOGINS: dict[str, tuple[dict[str, str], int, str, str]] = {
    "the right one": (
        {"MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": PASSWORD}, 66, "ArtifactNotFound",
        "no version 1",
    ),
    "a wrong password": (
        {"MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": "canary"}, 77, "AccessDenied",
        "the given credentials do not allow it",
    ),
    "one without the right": (
        {"MLFLOW_TRACKING_USERNAME": "guest", "MLFLOW_TRACKING_PASSWORD": "canary-of-a-guest"}, 77, "AccessDenied",
        "the given credentials do not allow it",
    ),
    "none": ({}, 77, "AccessDenied", "no credentials were given; set MLFLOW_TRACKING_TOKEN"),
    "a token, which this server has not": (
        {"MLFLOW_TRACKING_TOKEN": "canary"}, 77, "AccessDenied", "the given credentials do not allow it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LOGINS)
def test_a_login(guarded: str, tmp_path: Path, case: str) -> None:
    secret, code, reason, word = LOGINS[case]
    keys = {f"CREDENTIALS_{key}": value for key, value in {"MLFLOW_TRACKING_URI": guarded, **secret}.items()}
    processes.assert_failed(
        processes.fetch(tmp_path, "mlflow://models/iris/1", LOG_LEVEL="debug", **keys), code, reason, word
    )
