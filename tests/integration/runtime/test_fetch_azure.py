"""`fetch` from Azure Blob Storage, as Azurite plays it: Azure's own emulator."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.runtime import artifact_servers, azure_account, processes

ACCOUNT, KEY = azure_account.ACCOUNT, azure_account.KEY
FILES = {
    "iris/model.joblib": b"\x80\x04model",
    "iris/deep/notes.txt": b"notes",
    "iris-old/model.joblib": b"\x80\x04old",
    "a+b%c?d/ø.pkl": b"\x80\x04name",
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An account with the containers of `fill`."""
    with artifact_servers.azurite(tmp_path_factory.mktemp("azurite"), ACCOUNT, KEY) as url:
        azure_account.fill(url, FILES)
        yield url


def _fetch(folder: Path, endpoint: str, uri: str, **secret: str) -> processes.Ended:
    given = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ENDPOINT": endpoint, **secret}
    return processes.fetch(
        folder,
        uri,
        LOG_LEVEL="debug",
        **{f"CREDENTIALS_{key}": value for key, value in given.items() if value},
    )


@pytest.mark.parametrize("name", ["iris/model.joblib", "a+b%c?d/ø.pkl"])
def test_a_blob_arrives_whatever_its_name(endpoint: str, tmp_path: Path, name: str) -> None:
    ended = _fetch(tmp_path, endpoint, f"az://models/{name}", AZURE_STORAGE_ACCOUNT_KEY=KEY)
    assert ended.exit_code == 0, ended.log
    (file,) = (tmp_path / "artifact/content").iterdir()
    assert file.read_bytes() == FILES[name]
    assert KEY not in ended.log


WAYS = {
    "the account's key": ("models", {"AZURE_STORAGE_ACCOUNT_KEY": KEY}),
    "a token": ("models", {"AZURE_STORAGE_SAS_TOKEN": azure_account.sas_token()}),
    "a token with its question mark": (
        "models",
        {"AZURE_STORAGE_SAS_TOKEN": "?" + azure_account.sas_token()},
    ),
    "nothing, of a public container": ("public", {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_prefix_arrives_as_a_folder(endpoint: str, tmp_path: Path, way: str) -> None:
    container, secret = WAYS[way]
    ended = _fetch(tmp_path, endpoint, f"az://{container}/iris/", **secret)
    assert ended.exit_code == 0, ended.log
    content = tmp_path / "artifact/content/iris"
    found = {path.relative_to(content).as_posix(): path.read_bytes() for path in content.rglob("*.*")}
    assert found == {name: FILES[f"iris/{name}"] for name in ("model.joblib", "deep/notes.txt")}
    for value in secret.values():
        assert value not in ended.log


BLOB = "az://models/iris/model.joblib"
FAILURES: dict[str, tuple[str, dict[str, str], int, str, tuple[str, ...]]] = {
    "a blob that is not there": (
        "az://models/iris/none.pkl", {}, 66, "ArtifactNotFound",
        ("az://models/iris/none.pkl", "check container and blob name"),
    ),
    "a container that is not there": (
        "az://nowhere/m.pkl", {}, 66, "ArtifactNotFound", ("the container itself is missing there",),
    ),
    "a prefix in a container that is not there": (
        "az://nowhere/m/", {}, 66, "ArtifactNotFound", ("the container itself is missing there",),
    ),
    "a prefix without blobs": ("az://models/none/", {}, 66, "ArtifactNotFound", ("az://models/none/",)),
    "another key": (
        BLOB, {"AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(b"canary").decode()}, 77, "AccessDenied",
        ("(AuthorizationFailure)", "AZURE_STORAGE_ACCOUNT_KEY"),
    ),
    "no key": (BLOB, {"AZURE_STORAGE_ACCOUNT_KEY": ""}, 77, "AccessDenied", ("no credentials were given",)),
    "a token that has expired": (
        BLOB, {"AZURE_STORAGE_ACCOUNT_KEY": "", "AZURE_STORAGE_SAS_TOKEN": azure_account.sas_token(minutes=-5)},
        77, "AccessDenied",
        ("the given credentials do not allow it", "AZURE_STORAGE_SAS_TOKEN"),
    ),
    "a token that may only write": (
        BLOB, {"AZURE_STORAGE_ACCOUNT_KEY": "", "AZURE_STORAGE_SAS_TOKEN": azure_account.sas_token("w")},
        77, "AccessDenied",
        ("(AuthorizationPermissionMismatch)",),
    ),
    "a key that is no base64": (
        BLOB, {"AZURE_STORAGE_ACCOUNT_KEY": "canary!"}, 78, "SettingsInvalid", ("in base64",),
    ),
    "a token that is none": (
        BLOB, {"AZURE_STORAGE_ACCOUNT_KEY": "", "AZURE_STORAGE_SAS_TOKEN": "canary"}, 78, "SettingsInvalid",
        ("sv=…&sig=…",),
    ),
    "an endpoint that is no URL": (
        BLOB, {"AZURE_STORAGE_ENDPOINT": "canary"}, 78, "SettingsInvalid", ("AZURE_STORAGE_ENDPOINT is not the",),
    ),
    "a Secret for other hosts": (
        BLOB, {"ALLOWED_HOSTS": "*.blob.core.windows.net"}, 77, "AccessDenied", ("not for the host '127.0.0.1'",),
    ),
    "no account": (
        BLOB, {"AZURE_STORAGE_ACCOUNT_NAME": ""}, 78, "SettingsInvalid", ("set AZURE_STORAGE_ACCOUNT_NAME",),
    ),
    "an account that would be an address": (
        BLOB, {"AZURE_STORAGE_ACCOUNT_NAME": "evil.example/"}, 78, "SettingsInvalid", ("3 to 24",),
    ),
    "half an application": (
        BLOB, {"AZURE_STORAGE_ACCOUNT_KEY": "", "AZURE_CLIENT_SECRET": "canary"}, 78, "SettingsInvalid",
        ("AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_TENANT_ID go together",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_has_its_reason_code_and_remedy(endpoint: str, tmp_path: Path, case: str) -> None:
    uri, changes, code, reason, words = FAILURES[case]
    ended = _fetch(tmp_path, endpoint, uri, **{"AZURE_STORAGE_ACCOUNT_KEY": KEY, **changes})
    processes.assert_failed(ended, code, reason, *words)
    for value in changes.values():
        assert not value or value in ACCOUNT or value not in str(ended)


def test_an_endpoint_where_nobody_listens_is_named(tmp_path: Path) -> None:
    ended = _fetch(tmp_path, f"http://127.0.0.1:{processes.free_port()}/{ACCOUNT}", "az://models/m.pkl")
    processes.assert_failed(ended, 69, "FetchFailed", "Blob Storage at 127.0.0.1:", "connection refused")
