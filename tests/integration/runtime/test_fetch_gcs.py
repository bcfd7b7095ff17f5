"""`fetch` from a Google Cloud Storage server: the one that Google's client libraries are tested with."""

import base64
import contextlib
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.runtime import artifact_servers, fileserver, processes

FILES = {
    "iris/model.joblib": b"\x80\x04model",
    "iris/deep/notes.txt": b"notes",
    "iris-old/model.joblib": b"\x80\x04old",
    "a+b%c?d/ø.pkl": b"\x80\x04name",
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a bucket `models` that holds FILES."""
    with artifact_servers.gcs(tmp_path_factory.mktemp("gcs"), FILES) as url:
        yield url


def _fetch(folder: Path, endpoint: str, uri: str, **more: str) -> processes.Ended:
    return processes.fetch(
        folder, uri, LOG_LEVEL="debug", **{"CREDENTIALS_GOOGLE_STORAGE_ENDPOINT": endpoint, **more}
    )


@pytest.mark.parametrize("name", ["iris/model.joblib", "a+b%c?d/ø.pkl"])
def test_an_object_arrives_whatever_its_name(endpoint: str, tmp_path: Path, name: str) -> None:
    ended = _fetch(tmp_path, endpoint, f"gs://models/{name}")
    assert ended.exit_code == 0, ended.log
    (file,) = (tmp_path / "artifact/content").iterdir()
    assert file.read_bytes() == FILES[name]


def test_a_prefix_arrives_as_a_folder(endpoint: str, tmp_path: Path) -> None:
    lines = "".join(
        f"{name.removeprefix('iris/')}\0{hashlib.sha256(FILES[name]).hexdigest()}\n"
        for name in ("iris/deep/notes.txt", "iris/model.joblib")
    )
    digest = "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
    ended = _fetch(tmp_path, endpoint, "gs://models/iris/", MODEL_DIGEST=digest)
    assert ended.exit_code == 0, ended.log


FAILURES: dict[str, tuple[str, dict[str, str], int, str, tuple[str, ...]]] = {
    "an object that is not there": (
        "gs://models/iris/none.pkl", {}, 66, "ArtifactNotFound",
        ("gs://models/iris/none.pkl", "check bucket and object name"),
    ),
    "a bucket that is not there": ("gs://nowhere/m.pkl", {}, 66, "ArtifactNotFound", ("gs://nowhere/m.pkl",)),
    "a prefix without objects": ("gs://models/none/", {}, 66, "ArtifactNotFound", ("gs://models/none/",)),
    "an endpoint that is no URL": (
        "gs://models/m.pkl", {"CREDENTIALS_GOOGLE_STORAGE_ENDPOINT": "http://[canary"}, 78, "SettingsInvalid",
        ("GOOGLE_STORAGE_ENDPOINT is not the http: or https: URL",),
    ),
    "a Secret for other hosts": (
        "gs://models/m.pkl",
        {
            "CREDENTIALS_GOOGLE_APPLICATION_CREDENTIALS_JSON": json.dumps(
                {"type": "service_account", "client_email": "a@b", "private_key_id": "1", "private_key": "canary"}
            ),
            "CREDENTIALS_ALLOWED_HOSTS": "*.example.com",
        },
        77, "AccessDenied", ("not for the host '127.0.0.1'",),
    ),
    "a key that is no JSON": (
        "gs://models/iris/model.joblib", {"CREDENTIALS_GOOGLE_APPLICATION_CREDENTIALS_JSON": "canary"}, 78,
        "SettingsInvalid", ("GOOGLE_APPLICATION_CREDENTIALS_JSON", "service account"),
    ),
    "the key of a person": (
        "gs://models/iris/model.joblib",
        {"CREDENTIALS_GOOGLE_APPLICATION_CREDENTIALS_JSON": '{"type": "authorized_user", "refresh_token": "canary"}'},
        78, "SettingsInvalid", ("missing required field",),
    ),
    "a private key that is none": (
        "gs://models/iris/model.joblib",
        {
            "CREDENTIALS_GOOGLE_APPLICATION_CREDENTIALS_JSON": json.dumps(
                {"type": "service_account", "client_email": "a@b", "private_key_id": "1", "private_key": "canary"}
            )
        },
        78, "SettingsInvalid", ("create a new key",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_has_its_reason_code_and_remedy(endpoint: str, tmp_path: Path, case: str) -> None:
    uri, more, code, reason, words = FAILURES[case]
    processes.assert_failed(_fetch(tmp_path, endpoint, uri, **more), code, reason, *words)


def test_an_endpoint_where_nobody_listens_is_named(tmp_path: Path) -> None:
    ended = _fetch(tmp_path, f"http://127.0.0.1:{processes.free_port()}", "gs://models/m.pkl")
    processes.assert_failed(ended, 69, "FetchFailed", "server at 127.0.0.1:", "connection refused")


class Account:
    """A service account: its key as Google gives it, and the check of what it has signed."""

    def __init__(self, folder: Path) -> None:
        self._public = folder / "public.pem"
        private = folder / "private.pem"
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(private))
        _openssl("pkey", "-in", str(private), "-pubout", "-out", str(self._public))
        self._folder = folder
        self.key = json.dumps(
            {
                "type": "service_account",
                "project_id": "p",
                "private_key_id": "canary-id",
                "private_key": private.read_text(),
                "client_email": "models@p.iam.gserviceaccount.com",
                "token_uri": "https://oauth2.googleapis.com/token",
                "gcs_base_url": "http://127.0.0.1:9",
            }
        )

    def has_signed(self, authorization: str | None) -> bool:
        """Says whether a request carries a token of this account, signed by it."""
        if authorization is None or not authorization.startswith("Bearer "):
            return False
        signed, _, signature = authorization.removeprefix("Bearer ").rpartition(".")
        claims = json.loads(_decode(signed.partition(".")[2]))
        (self._folder / "signed").write_text(signed)
        (self._folder / "signature").write_bytes(_decode(signature))
        with contextlib.suppress(subprocess.CalledProcessError):
            _openssl(
                "dgst", "-sha256", "-verify", str(self._public), "-signature", str(self._folder / "signature"),
                str(self._folder / "signed"),
            )  # fmt: skip
            return bool(claims["iss"] == "models@p.iam.gserviceaccount.com")
        return False


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """The one that may read."""
    return Account(tmp_path_factory.mktemp("account"))


@pytest.fixture(scope="module")
def guarded(endpoint: str, account: Account) -> Iterator[str]:
    """The server behind a door for the account alone, since it asks nobody itself."""
    with fileserver.FileServer().running() as door:

        def answer(handler: Any) -> None:
            authorization = handler.headers.get("authorization")
            if not account.has_signed(authorization):
                handler.send_response(403 if authorization is None else 401)
                body = b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code></Error>"
            else:
                span = {"range": handler.headers["range"]} if "range" in handler.headers else {}
                behind = httpx.get(endpoint + handler.path, headers=span)
                handler.send_response(behind.status_code)
                for name in ("etag", "last-modified", "content-range"):
                    if name in behind.headers:
                        handler.send_header(name, behind.headers[name])
                body = behind.content
            handler.send_header("content-length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        door.routes["/models/iris%2Fmodel%2Ejoblib"] = answer
        yield door.url


def test_a_service_account_opens_the_door_at_our_address(
    guarded: str, account: Account, tmp_path: Path
) -> None:
    key = {"CREDENTIALS_GOOGLE_APPLICATION_CREDENTIALS_JSON": account.key}
    ended = _fetch(tmp_path, guarded, "gs://models/iris/model.joblib", **key)
    assert ended.exit_code == 0, ended.log
    assert (tmp_path / "artifact/content/model.joblib").read_bytes() == FILES["iris/model.joblib"]
    assert "canary" not in ended.log


def test_without_a_key_access_is_denied(guarded: str, tmp_path: Path) -> None:
    ended = _fetch(tmp_path, guarded, "gs://models/iris/model.joblib")
    processes.assert_failed(
        ended, 77, "AccessDenied", "no credentials were given", "GOOGLE_APPLICATION_CREDENTIALS_JSON"
    )


def test_with_another_accounts_key_access_is_denied(guarded: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    key = {"CREDENTIALS_GOOGLE_APPLICATION_CREDENTIALS_JSON": Account(tmp_path / "other").key}
    ended = _fetch(tmp_path, guarded, "gs://models/iris/model.joblib", **key)
    processes.assert_failed(ended, 77, "AccessDenied", "the given credentials do not allow it")


@pytest.fixture
def metadata() -> Iterator[fileserver.FileServer]:
    """A metadata service as a pod's identity has one, and the storage that opens for its token."""
    with fileserver.FileServer().running() as server:
        token = json.dumps({"access_token": "canary-of-the-pod", "expires_in": 3600, "token_type": "Bearer"})
        server.routes["/computeMetadata/v1/instance/service-accounts/default/token"] = (
            fileserver.answer_bytes(token.encode())
        )
        server.routes["/models/iris%2Fmodel%2Ejoblib"] = fileserver.only_for(
            "Bearer canary-of-the-pod", _answer_object(FILES["iris/model.joblib"])
        )
        yield server


def _answer_object(content: bytes) -> Callable[[Any], None]:
    """What Google answers to the request for a whole small object, or a span of it."""

    def answer(handler: Any) -> None:
        handler.send_response(206 if "range" in handler.headers else 200)
        if "range" in handler.headers:
            handler.send_header("content-range", f"bytes 0-{len(content) - 1}/{len(content)}")
        handler.send_header("etag", '"1"')
        handler.send_header("last-modified", "Tue, 24 Nov 2026 12:00:00 GMT")
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def _fetch_in_pod(
    metadata: fileserver.FileServer, folder: Path, granted: str, **secret: str
) -> processes.Ended:
    variables = processes.environment(
        folder, MODEL_URI="gs://models/iris/model.joblib", LOG_LEVEL="debug", **secret
    ) | {"GOOGLE_STORAGE_ENDPOINT": metadata.url, "GCE_METADATA_HOST": granted}
    return processes.run("fetch", variables, folder)


def test_a_pod_with_an_identity_needs_no_secret(metadata: fileserver.FileServer, tmp_path: Path) -> None:
    ended = _fetch_in_pod(metadata, tmp_path, f"127.0.0.1:{metadata.port}")
    assert ended.exit_code == 0, ended.log
    assert any("/computeMetadata/" in path for path in metadata.requests)
    assert "canary" not in ended.log


def test_a_pod_without_an_identity_asks_nobody_for_one(
    metadata: fileserver.FileServer, tmp_path: Path
) -> None:
    processes.assert_failed(
        _fetch_in_pod(metadata, tmp_path, ""), 77, "AccessDenied", "no credentials were given"
    )
    assert not any("/computeMetadata/" in path for path in metadata.requests)


def test_the_pods_identity_never_goes_to_an_address_of_a_secret(
    metadata: fileserver.FileServer, tmp_path: Path
) -> None:
    secret = {"CREDENTIALS_GOOGLE_STORAGE_ENDPOINT": metadata.url}
    ended = _fetch_in_pod(metadata, tmp_path, f"127.0.0.1:{metadata.port}", **secret)
    processes.assert_failed(ended, 77, "AccessDenied", "no credentials were given")
    assert not any("/computeMetadata/" in path for path in metadata.requests)
