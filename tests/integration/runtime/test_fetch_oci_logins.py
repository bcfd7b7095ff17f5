"""`fetch` from registries that ask who pulls: with a password, a token service, an authority of their own."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from modelyard_runtime.artifact import addresses, credentials, egress, source, uri
from modelyard_runtime.artifact.sources import oci
from tests.integration.runtime import oci_fetching, registries
from tests.support import waiting


@pytest.fixture(scope="module", params=["basic", "token"])
def closed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[registries.Registry]:
    """A registry that wants a password, or a token of another service that wants it; both hold one artifact."""
    folder = tmp_path_factory.mktemp(f"registry-{request.param}")
    with registries.running(folder, request.param) as found:
        found.push("private/iris:1", oci_fetching.model(folder / "pushed"))
        yield found


def _docker_config(host: str, password: str = registries.PASSWORD) -> dict[str, str]:
    auth = base64.b64encode(f"{registries.USER}:{password}".encode()).decode()
    return {"CREDENTIALS_.dockerconfigjson": json.dumps({"auths": {host: {"auth": auth}}})}


def test_a_login_is_the_keys_or_the_secret_that_kubectl_makes(
    closed: registries.Registry, tmp_path: Path
) -> None:
    named = f"oci://{closed.host}/private/iris:1"
    for number, login in enumerate(
        (oci_fetching.LOGIN, _docker_config(closed.host), _docker_config(f"http://{closed.host}/v2/"))
    ):
        (tmp_path / str(number)).mkdir()
        assert oci_fetching.fetched(tmp_path / str(number), named, **oci_fetching.PLAIN, **login) == {
            "": oci_fetching.MODEL
        }


DENIED = {
    "nobody": {},
    "a wrong password": {**oci_fetching.LOGIN, "CREDENTIALS_OCI_PASSWORD": "canary-wrong"},
    "a login for another registry": _docker_config("registry.example"),
    "a login for another repository": _docker_config("HOST/other"),
    "a login for a repository whose name begins alike": _docker_config("HOST/private/iri"),
}


@pytest.mark.parametrize("case", DENIED)
def test_whoever_may_not_pull_is_told_which_keys_are_wanted(
    closed: registries.Registry, tmp_path: Path, case: str
) -> None:
    login = {key: value.replace("HOST", closed.host) for key, value in DENIED[case].items()}
    reason, message = oci_fetching.refused(
        tmp_path, f"oci://{closed.host}/private/iris:1", **oci_fetching.PLAIN, **login
    )
    assert reason == "AccessDenied", message
    assert ".dockerconfigjson, or OCI_USERNAME and OCI_PASSWORD," in message
    said = "do not allow it" if case == "a wrong password" else "no credentials were given"
    assert said in message


def test_a_secret_for_other_hosts_is_not_used(closed: registries.Registry, tmp_path: Path) -> None:
    reason, message = oci_fetching.refused(
        tmp_path, f"oci://{closed.host}/private/iris:1", **oci_fetching.PLAIN, **oci_fetching.LOGIN,
        CREDENTIALS_ALLOWED_HOSTS="registry.example",
    )  # fmt: skip
    assert (reason, "ALLOWED_HOSTS" in message) == ("AccessDenied", True)


def test_a_registry_with_a_token_service_serves_whoever_may_pull_without_a_login(tmp_path: Path) -> None:
    with registries.running(tmp_path / "registry", "token") as found:
        found.push("open/iris:1", oci_fetching.model(tmp_path / "pushed"))
        assert oci_fetching.fetched(tmp_path, f"oci://{found.host}/open/iris:1", **oci_fetching.PLAIN) == {
            "": oci_fetching.MODEL
        }
        reason, _ = oci_fetching.refused(tmp_path, f"oci://{found.host}/private/iris:1", **oci_fetching.PLAIN)
        assert reason == "AccessDenied"


def test_a_token_that_has_run_out_is_renewed(tmp_path: Path) -> None:
    with registries.running(tmp_path / "registry", "token") as found:
        found.push("private/iris:1", oci_fetching.model(tmp_path / "pushed"))
        assert found.tokens is not None
        # The registry allows a minute for clocks that differ.
        found.tokens.lifetime_seconds = -57
        keys = {
            "OCI_PLAIN_HTTP": "true",
            "OCI_USERNAME": registries.USER,
            "OCI_PASSWORD": registries.PASSWORD,
        }
        policy = egress.Policy(allowed=addresses.parse_allowed("127.0.0.0/8"))
        around = source.Surroundings(credentials.Credentials(keys), egress=egress.Egress(policy))
        origin = oci.build(uri.parse(f"oci://{found.host}/private/iris:1"), around)
        (file,) = origin.list_files().files
        asked = {"service": "registry.test", "scope": "repository:private/iris:pull"}
        login = (registries.USER, registries.PASSWORD)
        token = httpx.get(found.tokens.url, params=asked, auth=login).json()["token"]
        blob = f"{found.url}/v2/private/iris/blobs/{file.digest}"

        def has_run_out() -> bool:
            return httpx.get(blob, headers={"authorization": f"Bearer {token}"}).status_code == 401

        waiting.eventually(has_run_out, "the token has run out", 30)
        so_far = len(found.tokens.asked)
        assert b"".join(origin.open_file(file).chunks) == oci_fetching.MODEL
        assert len(found.tokens.asked) == so_far + 1


def test_a_registry_with_an_authority_of_its_own_is_trusted_by_the_secret(tmp_path: Path) -> None:
    with registries.running(tmp_path / "registry", "basic", tls=True) as found:
        found.push("private/iris:1", oci_fetching.model(tmp_path / "pushed"))
        assert found.ca is not None
        named = f"oci://{found.host}/private/iris:1"
        trusted = {"CREDENTIALS_ca.crt": found.ca.read_text()}
        assert oci_fetching.fetched(tmp_path, named, **oci_fetching.LOGIN, **trusted) == {
            "": oci_fetching.MODEL
        }
        reason, message = oci_fetching.refused(tmp_path / "untrusting", named, **oci_fetching.LOGIN)
        assert (reason, "unknown authority" in message) == ("FetchFailed", True), message
