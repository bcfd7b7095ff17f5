"""Access over real connections: TLS that is renewed, client certificates, tokens that change, and what is missing."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import joblib
import pytest
from sklearn.linear_model import LinearRegression

from tests.integration.runtime import certificates, processes
from tests.support import waiting

TOKEN = "alice-0123456789abcdef"
MODEL = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a TLS Secret with ca.crt is mounted, and a client's pair beside it."""
    folder = tmp_path_factory.mktemp("tls")
    certificates.authority(folder)
    certificates.certificate(folder, "one", "tls.key", "tls.crt")
    certificates.certificate(folder, "client", "client.key", "client.crt")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, secret: Path) -> Iterator[processes.Serving]:
    """A model behind a token, TLS and client certificates."""
    folder = tmp_path_factory.mktemp("model")
    tokens = folder / "tokens"
    tokens.mkdir()
    (tokens / "alice").write_text(TOKEN)
    joblib.dump(MODEL, folder / "model.joblib")
    assert processes.fetch(folder, f"file://{folder}/model.joblib").exit_code == 0
    serving = processes.Serving(
        folder, "m", TOKENS_DIR=str(tokens), TLS_DIR=str(secret), CLIENT_CERTIFICATES="Require"
    )
    serving.client = _client(serving, secret)
    try:
        serving.wait_until("/readyz")
        yield serving
    finally:
        serving.close()


def _client(
    serving: processes.Serving, secret: Path, certified: bool = False, token: str = ""
) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(secret / "ca.crt"))
    if certified:
        context.load_cert_chain(secret / "client.crt", secret / "client.key")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=serving.url.replace("http:", "https:"), verify=context, headers=headers)


def test_the_kubelet_needs_neither_certificate_nor_token(server: processes.Serving, secret: Path) -> None:
    with _client(server, secret) as client:
        assert [client.get(path).status_code for path in ("/livez", "/readyz")] == [200, 200]


@pytest.mark.parametrize(
    ("certified", "token", "code"),
    [(False, TOKEN, 403), (True, "", 401), (True, TOKEN + "x", 401), (True, TOKEN, 200)],
)
def test_predictions_are_for_those_who_show_both(
    server: processes.Serving, secret: Path, certified: bool, token: str, code: int
) -> None:
    with _client(server, secret, certified, token) as client:
        answer = client.post("/predict", json={"X": [[3.0]]})
    assert answer.status_code == code, answer.text
    assert list(answer.json()) == (["y_pred"] if code == 200 else ["error"])
    assert TOKEN not in server.log


def test_a_certificate_of_another_authority_ends_the_handshake(
    server: processes.Serving, secret: Path, tmp_path: Path
) -> None:
    certificates.authority(tmp_path)
    certificates.certificate(tmp_path, "stranger", "client.key", "client.crt")
    (tmp_path / "ca.crt").write_bytes((secret / "ca.crt").read_bytes())
    with _client(server, tmp_path, certified=True) as client, pytest.raises(httpx.TransportError):
        client.get("/readyz")


def test_plain_http_is_not_answered(server: processes.Serving) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{server.url}/readyz")


def test_a_renewed_certificate_is_served_without_a_restart(server: processes.Serving, secret: Path) -> None:
    def served() -> bytes:
        return ssl.get_server_certificate(("127.0.0.1", server.port)).encode()

    before = served()
    (secret / "tls.crt").write_text("half a renewal")
    waiting.eventually(lambda: "renewed certificate refused" in server.log, "the half renewal is seen", 30)
    assert served() == before
    certificates.certificate(secret, "two", "tls.key", "tls.crt")
    waiting.eventually(lambda: served() != before, "the new certificate is served", 30)
    assert server.process.poll() is None


@pytest.mark.parametrize("missing", ["TOKENS_DIR", "TLS_DIR"])
def test_a_missing_secret_ends_the_start_and_serves_nobody(missing: str, tmp_path: Path) -> None:
    joblib.dump(MODEL, tmp_path / "model.joblib")
    assert processes.fetch(tmp_path, f"file://{tmp_path}/model.joblib").exit_code == 0
    (tmp_path / "empty").mkdir()
    serving = processes.Serving(tmp_path, "m", **{missing: str(tmp_path / "empty")})
    try:
        ended = serving.wait()
    finally:
        serving.close()
    assert ended.termination is not None
    assert (ended.exit_code, ended.termination["reason"]) == (78, "SettingsInvalid")
    assert "Secret" in ended.termination["message"]
