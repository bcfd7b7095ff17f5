"""`fetch` from S3 with what opens it for a while: an identity of the pod's own, or temporary keys in a Secret."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.runtime import amazon as amazons
from tests.integration.runtime import certificates, processes

FILES = {f"iris/{name}": b"\x80\x04" + name.encode() for name in ("model.joblib", "a.txt", "b.txt", "c.txt")}
MODEL = "s3://models/iris/model.joblib"
TOKEN = "canary-of-the-kubelet"


@pytest.fixture(scope="module")
def amazon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[amazons.Amazon]:
    """Amazon's services, with FILES in a bucket."""
    folder = tmp_path_factory.mktemp("amazon")
    certificates.authority(folder)
    region = "eu-west-1.amazonaws.com"
    hosts = f"IP:127.0.0.1,DNS:s3.{region},DNS:*.s3.{region},DNS:sts.{region}"
    certificates.certificate(folder, "amazon", hosts=hosts)
    with amazons.running(folder / "moto", folder, FILES, TOKEN) as running:
        yield running


def _fetch_as(
    amazon: amazons.Amazon, folder: Path, role: str, uri: str = MODEL, token: str | None = TOKEN, **more: str
) -> processes.Ended:
    """Runs `fetch` in a pod as Amazon's identity webhook makes one, with no Secret."""
    amazon.assumed.clear()
    amazon.wants.clear()
    if token is not None:
        (folder / "token").write_text(token + "\n")
    variables = processes.environment(
        folder, **{"MODEL_URI": uri, "LOG_LEVEL": "debug", "CA_BUNDLE": amazon.ca.read_text(), **more}
    ) | {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token"),
        "AWS_ROLE_ARN": amazon.role(role),
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": amazon.url,
        "AWS_ENDPOINT_URL_STS": amazon.url,
    }
    return processes.run("fetch", variables, folder)


def test_a_pod_with_an_identity_needs_no_secret(amazon: amazons.Amazon, tmp_path: Path) -> None:
    ended = _fetch_as(amazon, tmp_path, "reader")
    assert ended.exit_code == 0, ended.log
    assert (tmp_path / "artifact/content/model.joblib").read_bytes() == FILES["iris/model.joblib"]
    assert amazon.assumed == [amazon.role("reader")]
    # Signed with the keys that the role was given, which are temporary.
    assert {key[:4] for _, key in amazon.wants} == {"ASIA"}
    assert "canary" not in ended.log


def test_keys_of_an_identity_that_expire_are_renewed(amazon: amazons.Amazon, tmp_path: Path) -> None:
    amazon.lifetime = datetime.timedelta(seconds=30)  # less than the library lets any go on living
    try:
        ended = _fetch_as(amazon, tmp_path, "reader", "s3://models/iris/")
    finally:
        amazon.lifetime = None
    assert ended.exit_code == 0, ended.log
    assert len(amazon.assumed) > 1
    assert len({key for _, key in amazon.wants}) > 1
    found = {path.name: path.read_bytes() for path in (tmp_path / "artifact/content/iris").iterdir()}
    assert found == {name.removeprefix("iris/"): content for name, content in FILES.items()}


def test_an_identity_without_the_right_is_denied(amazon: amazons.Amazon, tmp_path: Path) -> None:
    ended = _fetch_as(amazon, tmp_path, "nobody")
    processes.assert_failed(ended, 77, "AccessDenied", "the pod's identity does not allow it", MODEL)


def test_an_identity_that_amazon_does_not_know_is_denied(amazon: amazons.Amazon, tmp_path: Path) -> None:
    ended = _fetch_as(amazon, tmp_path, "reader", token="canary-of-nobody")
    processes.assert_failed(
        ended, 77, "AccessDenied", "(InvalidIdentityToken)", "the pod's identity does not allow it"
    )


def test_a_token_that_is_not_there_is_told(amazon: amazons.Amazon, tmp_path: Path) -> None:
    ended = _fetch_as(amazon, tmp_path, "reader", token=None)
    assert ended.termination is not None, ended.log
    assert ended.termination["reason"] == "FetchFailed"
    assert "the token of the pod's identity can't be read" in ended.termination["message"]


def test_without_the_authority_nothing_is_sent(amazon: amazons.Amazon, tmp_path: Path) -> None:
    ended = _fetch_as(amazon, tmp_path, "reader", CA_BUNDLE="")
    assert ended.termination is not None, ended.log
    assert ended.termination["reason"] == "FetchFailed"
    assert "signed by an unknown authority" in ended.termination["message"]
    assert (amazon.assumed, amazon.wants) == ([], [])


def _fetch_with(amazon: amazons.Amazon, folder: Path, *keys: str, uri: str = MODEL) -> processes.Ended:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    secret = dict(zip(names, keys, strict=False)) | {
        "AWS_ENDPOINT_URL": amazon.url,
        "AWS_REGION": "eu-west-1",
    }
    given = {f"CREDENTIALS_{key}": value for key, value in secret.items()}
    return processes.fetch(folder, uri, LOG_LEVEL="debug", CA_BUNDLE=amazon.ca.read_text(), **given)


def test_keys_of_a_person_are_enough(amazon: amazons.Amazon, tmp_path: Path) -> None:
    ended = _fetch_with(amazon, tmp_path, *amazon.user)
    assert ended.exit_code == 0, ended.log


def test_temporary_keys_need_their_token(amazon: amazons.Amazon, tmp_path: Path) -> None:
    ended = _fetch_with(amazon, tmp_path, *amazon.session)
    assert ended.exit_code == 0, ended.log
    for secret in amazon.session[1:]:
        assert secret not in ended.log


@pytest.mark.parametrize("token", [(), ("canary",)])
def test_temporary_keys_without_their_token_are_denied(
    amazon: amazons.Amazon, tmp_path: Path, token: tuple[str, ...]
) -> None:
    ended = _fetch_with(amazon, tmp_path, *amazon.session[:2], *token)
    processes.assert_failed(
        ended, 77, "AccessDenied", "the given credentials do not allow it", "AWS_ACCESS_KEY_ID"
    )


def test_the_secrets_keys_come_before_the_pods_identity(amazon: amazons.Amazon, tmp_path: Path) -> None:
    secret = {
        "CREDENTIALS_AWS_ACCESS_KEY_ID": amazon.user[0],
        "CREDENTIALS_AWS_SECRET_ACCESS_KEY": amazon.user[1],
    }
    ended = _fetch_as(amazon, tmp_path, "nobody", **secret)
    assert ended.exit_code == 0, ended.log
    assert amazon.assumed == []


STYLES = {
    "": ({"s3.eu-west-1.amazonaws.com"}, "/models/iris/model.joblib"),
    "true": ({"models.s3.eu-west-1.amazonaws.com"}, "/iris/model.joblib"),
}


@pytest.mark.parametrize("virtual_hosts", STYLES)
def test_amazons_own_addresses_are_found(amazon: amazons.Amazon, tmp_path: Path, virtual_hosts: str) -> None:
    hosts, path = STYLES[virtual_hosts]
    amazon.wants.clear()
    amazon.tunnels.clear()
    (tmp_path / "token").write_text(TOKEN)
    variables = processes.environment(
        tmp_path, MODEL_URI=MODEL, CA_BUNDLE=amazon.ca.read_text(), HTTPS_PROXY=amazon.proxy,
        CREDENTIALS_AWS_VIRTUAL_HOSTED_STYLE_REQUEST=virtual_hosts, CREDENTIALS_AWS_REGION="eu-west-1",
    ) | {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ROLE_ARN": amazon.role("reader")}  # fmt: skip
    ended = processes.run("fetch", variables, tmp_path)
    assert ended.exit_code == 0, ended.log
    assert amazon.tunnels == hosts | {"sts.eu-west-1.amazonaws.com"}
    assert {asked for asked, _ in amazon.wants} == {path}


@pytest.mark.parametrize("virtual_hosts", ["", "true"])
def test_another_server_is_addressed_by_path_or_by_host(
    amazon: amazons.Amazon, tmp_path: Path, virtual_hosts: str
) -> None:
    """Another server of the kind, whose name has the bucket in front of it where that is asked for."""
    amazon.tunnels.clear()
    keys = {
        "AWS_ENDPOINT_URL": "https://s3.eu-west-1.amazonaws.com",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": virtual_hosts,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": amazon.user[0],
        "AWS_SECRET_ACCESS_KEY": amazon.user[1],
    }
    given = {f"CREDENTIALS_{key}": value for key, value in keys.items() if value}
    ended = processes.fetch(
        tmp_path, MODEL, CA_BUNDLE=amazon.ca.read_text(), HTTPS_PROXY=amazon.proxy, **given
    )
    assert ended.exit_code == 0, ended.log
    assert amazon.tunnels == STYLES[virtual_hosts][0]
