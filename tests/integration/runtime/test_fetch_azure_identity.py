"""`fetch` from Azure as an application or with the pod's workload identity: Azurite over TLS, which judges the tokens.

Azure's emulator has no service that issues tokens, so a small one stands in for it. It makes tokens of the form that
Azurite checks (audience, issuer, dates), for the one client and the one secret or federated token that it knows.
"""

import base64
import contextlib
import dataclasses
import http.server
import json
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.runtime import (
    artifact_servers,
    azure_account,
    certificates,
    processes,
    test_fetch_azure,
)
from tests.support import webserver

TENANT, CLIENT, SECRET, FEDERATED = "tenant-1", "client-1", "canary-of-a-client", "canary-of-the-kubelet"
BLOB = "az://models/iris/model.joblib"


@dataclasses.dataclass
class Azure:
    """The blobs' address, that of the token service, the authority of both, and what was asked of the latter."""

    endpoint: str
    authority: str
    ca: str
    asked: list[str] = dataclasses.field(default_factory=list)


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    """Both servers, with the containers of `azure_account.fill`."""
    folder = tmp_path_factory.mktemp("azure")
    certificates.authority(folder)
    certificates.certificate(folder, "azure")
    options = ("--cert", folder / "tls.crt", "--key", folder / "tls.key", "--oauth", "basic")
    with artifact_servers.azurite(
        folder / "azurite", azure_account.ACCOUNT, azure_account.KEY, *options
    ) as endpoint:
        azure_account.fill(endpoint, test_fetch_azure.FILES)
        azure = Azure(endpoint, "", (folder / "ca.crt").read_text())
        with _token_service(azure, folder):
            yield azure


@contextlib.contextmanager
def _token_service(azure: Azure, folder: Path) -> Iterator[None]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"])).decode()
            fields = dict(urllib.parse.parse_qsl(content))
            azure.asked.append(self.path)
            proof = fields.get("client_secret") or fields.get("client_assertion", "")
            if fields["client_id"] == CLIENT and proof.strip() in (SECRET, FEDERATED):
                self._send(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": _token()})
            else:
                self._send(401, {"error": "invalid_client", "error_description": "AADSTS7000215: canary"})

        def _send(self, status: int, answer: dict[str, object]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with webserver.serving(Handler, webserver.tls_context(folder / "tls.crt", folder / "tls.key")) as port:
        azure.authority = f"https://127.0.0.1:{port}"
        yield


def _token() -> str:
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com", "iss": f"https://sts.windows.net/{TENANT}/", "oid": "o", "sub": "s",
        "iat": now - 60, "nbf": now - 60, "exp": now + 3600, "tid": TENANT, "ver": "1.0",
    }  # fmt: skip
    parts = ({"alg": "RS256", "typ": "JWT"}, claims, {"signature": "none"})
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


def _fetch_as_application(azure: Azure, folder: Path, **changes: str) -> processes.Ended:
    azure.asked.clear()
    keys = {
        "AZURE_STORAGE_ACCOUNT_NAME": azure_account.ACCOUNT,
        "AZURE_STORAGE_ENDPOINT": azure.endpoint,
        "AZURE_AUTHORITY_HOST": azure.authority,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_CLIENT_SECRET": SECRET,
        "ca.crt": azure.ca,
        **changes,
    }
    return processes.fetch(
        folder,
        BLOB,
        LOG_LEVEL="debug",
        **{f"CREDENTIALS_{key}": value for key, value in keys.items() if value},
    )


def _fetch_in_pod(azure: Azure, folder: Path, token: str = FEDERATED, **secret: str) -> processes.Ended:
    azure.asked.clear()
    (folder / "token").write_text(token)
    given = {f"CREDENTIALS_{key}": value for key, value in secret.items()}
    variables = processes.environment(
        folder, MODEL_URI=BLOB, LOG_LEVEL="debug", CA_BUNDLE=azure.ca, **given
    ) | {
        "AZURE_STORAGE_ACCOUNT_NAME": azure_account.ACCOUNT,
        "AZURE_STORAGE_ENDPOINT": azure.endpoint,
        "AZURE_AUTHORITY_HOST": azure.authority,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_FEDERATED_TOKEN_FILE": str(folder / "token"),
    }
    return processes.run("fetch", variables, folder)


def _assert_arrived(ended: processes.Ended, folder: Path) -> None:
    assert ended.exit_code == 0, ended.log
    expected = test_fetch_azure.FILES["iris/model.joblib"]
    assert (folder / "artifact/content/model.joblib").read_bytes() == expected
    assert "canary" not in ended.log


def test_an_application_opens_a_container(azure: Azure, tmp_path: Path) -> None:
    _assert_arrived(_fetch_as_application(azure, tmp_path), tmp_path)
    assert set(azure.asked) == {f"/{TENANT}/oauth2/v2.0/token"}


def test_an_application_with_another_secret_is_denied(azure: Azure, tmp_path: Path) -> None:
    ended = _fetch_as_application(azure, tmp_path, AZURE_CLIENT_SECRET="canary-of-another")
    processes.assert_failed(
        ended, 77, "AccessDenied", "the given credentials do not allow it", "AZURE_CLIENT_SECRET"
    )


def test_a_pod_with_a_workload_identity_needs_no_secret(azure: Azure, tmp_path: Path) -> None:
    _assert_arrived(_fetch_in_pod(azure, tmp_path), tmp_path)
    assert azure.asked


def test_an_identity_that_azure_does_not_know_is_denied(azure: Azure, tmp_path: Path) -> None:
    ended = _fetch_in_pod(azure, tmp_path, token="canary-of-nobody")
    processes.assert_failed(ended, 77, "AccessDenied", "the pod's identity does not allow it", BLOB)


def test_the_pods_identity_never_goes_to_an_address_of_a_secret(azure: Azure, tmp_path: Path) -> None:
    ended = _fetch_in_pod(azure, tmp_path, AZURE_STORAGE_ENDPOINT=azure.endpoint)
    processes.assert_failed(ended, 77, "AccessDenied", "no credentials were given")
    assert azure.asked == []


def test_a_server_of_another_authority_is_told(azure: Azure, tmp_path: Path) -> None:
    ended = _fetch_as_application(azure, tmp_path, **{"ca.crt": ""})
    assert ended.termination is not None, ended.log
    assert ended.termination["reason"] == "FetchFailed"
    assert "signed by an unknown authority" in ended.termination["message"]
    assert azure.asked == []
