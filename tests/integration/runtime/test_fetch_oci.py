"""`fetch` from a real registry: what oras and buildah push, how it asks who pulls, and what it gets wrong."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard_runtime.artifact import addresses, credentials, egress, source, uri
from modelyard_runtime.artifact.sources import oci
from tests.integration.runtime import processes, registries
from tests.support import waiting

MODEL = b"\x80\x04" + b"model" * 1000
PLAIN = {"CREDENTIALS_OCI_PLAIN_HTTP": "true"}
LOGIN = {"CREDENTIALS_OCI_USERNAME": registries.USER, "CREDENTIALS_OCI_PASSWORD": registries.PASSWORD}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registries.Registry]:
    """A registry that asks for nothing."""
    with registries.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


def _model(folder: Path, name: str = "model.joblib", content: bytes = MODEL) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _files(folder: Path) -> dict[str, bytes]:
    (content,) = (folder / "artifact/content").iterdir()
    if content.is_file():
        return {"": content.read_bytes()}
    return {
        path.relative_to(content).as_posix(): path.read_bytes()
        for path in content.rglob("*")
        if path.is_file()
    }


def _fetched(folder: Path, named: str, **variables: str) -> dict[str, bytes]:
    ended = processes.fetch(folder, named, LOG_LEVEL="debug", **variables)
    assert ended.exit_code == 0, ended.log
    assert "canary" not in str(ended)
    return _files(folder)


def _refused(folder: Path, named: str, **variables: str) -> tuple[str, str]:
    folder.mkdir(exist_ok=True)
    ended = processes.fetch(folder, named, LOG_LEVEL="debug", **variables)
    assert ended.termination is not None, ended.log
    assert "canary" not in str(ended)
    assert "Traceback" not in ended.log
    return ended.termination["reason"], ended.termination["message"]


def test_a_file_that_oras_has_pushed_arrives_and_its_digest_is_the_files(
    registry: registries.Registry, tmp_path: Path
) -> None:
    registry.push("team/iris:1.0", _model(tmp_path / "pushed"))
    named = f"oci://{registry.host}/team/iris:1.0"
    assert _fetched(tmp_path, named, MODEL_DIGEST=_sha256(MODEL), **PLAIN) == {"": MODEL}


def test_several_files_arrive_as_a_folder(registry: registries.Registry, tmp_path: Path) -> None:
    files = [_model(tmp_path / "pushed"), _model(tmp_path / "pushed", "labels.txt", b"a\nb\n")]
    registry.push("several:1", *files)
    assert _fetched(tmp_path, f"oci://{registry.host}/several:1", **PLAIN) == {
        "model.joblib": MODEL,
        "labels.txt": b"a\nb\n",
    }


def test_a_folder_that_oras_has_packed_is_unpacked(registry: registries.Registry, tmp_path: Path) -> None:
    _model(tmp_path / "pushed/iris")
    _model(tmp_path / "pushed/iris/deep", "labels.txt", b"a\n")
    registry.push("packed:1", tmp_path / "pushed/iris")
    assert _fetched(tmp_path, f"oci://{registry.host}/packed:1", **PLAIN) == {
        "model.joblib": MODEL,
        "deep/labels.txt": b"a\n",
    }


def test_an_image_that_buildah_has_pushed_is_unpacked(registry: registries.Registry, tmp_path: Path) -> None:
    _model(tmp_path / "models")
    _model(tmp_path / "models", "labels.txt", b"a\n")
    registry.push_image("image:1", tmp_path / "models", tmp_path)
    assert _fetched(tmp_path, f"oci://{registry.host}/image:1", **PLAIN) == {
        "model.joblib": MODEL,
        "labels.txt": b"a\n",
    }


def _tar(entries: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def _layer(
    registry: registries.Registry, repository: str, content: bytes, media_type: str, title: str = ""
) -> Any:
    annotations = {"annotations": {"org.opencontainers.image.title": title}} if title else {}
    return {**registry.put_blob(repository, content), "mediaType": media_type, **annotations}


TAR = "application/vnd.oci.image.layer.v1.tar"
WEIGHTS = "application/vnd.cncf.model.weight.v1.raw"


def test_layers_of_the_model_format_are_one_folder(registry: registries.Registry, tmp_path: Path) -> None:
    raw = {
        **registry.put_blob("modelpack", MODEL),
        "mediaType": WEIGHTS,
        "annotations": {"org.cncf.model.filepath": "model.joblib"},
    }
    packed = [
        _layer(
            registry,
            "modelpack",
            _tar({name: name.encode()}),
            "application/vnd.cncf.model.weight.config.v1.tar",
        )
        for name in ("labels.txt", "deep/config.json")
    ]
    registry.put("modelpack", "1", [raw, *packed])
    assert _fetched(tmp_path, f"oci://{registry.host}/modelpack:1", **PLAIN) == {
        "model.joblib": MODEL,
        "labels.txt": b"labels.txt",
        "deep/config.json": b"deep/config.json",
    }


def _index(registry: registries.Registry, repository: str, platforms: list[dict[str, str]]) -> None:
    manifests = []
    for number, platform in enumerate(platforms):
        content = MODEL + str(number).encode()
        digest = registry.put(
            repository, f"part-{number}", [_layer(registry, repository, content, "x/y", "m.joblib")]
        )
        size = registry.blob_path(digest).stat().st_size
        found: dict[str, Any] = {"mediaType": registries.MANIFEST, "digest": digest, "size": size}
        manifests.append({**found, "platform": platform} if platform else found)
    registry.put_manifest(
        repository, "1", {"schemaVersion": 2, "mediaType": registries.INDEX, "manifests": manifests}
    )


def test_of_an_index_the_image_for_this_machine_is_taken(
    registry: registries.Registry, tmp_path: Path
) -> None:
    platforms = [{"os": "linux", "architecture": "s390x"}] + [
        {"os": "linux", "architecture": name} for name in ("amd64", "arm64")
    ]
    _index(registry, "index", platforms)
    assert _fetched(tmp_path, f"oci://{registry.host}/index:1", **PLAIN)[""][:-1] == MODEL


def test_an_index_of_one_is_that_one(registry: registries.Registry, tmp_path: Path) -> None:
    _index(registry, "one", [{"os": "linux", "architecture": "s390x"}])
    assert _fetched(tmp_path, f"oci://{registry.host}/one:1", **PLAIN) == {"": MODEL + b"0"}


def test_a_digest_in_the_uri_is_the_manifests(registry: registries.Registry, tmp_path: Path) -> None:
    digest = registry.put("pinned", "1", [_layer(registry, "pinned", MODEL, "x/y", "m.joblib")])
    assert _fetched(tmp_path, f"oci://{registry.host}/pinned@{digest}", **PLAIN) == {"": MODEL}
    registry.blob_path(digest).write_bytes(registry.blob_path(digest).read_bytes() + b" ")
    reason, message = _refused(tmp_path / "again", f"oci://{registry.host}/pinned@{digest}", **PLAIN)
    # The registry itself may notice: then it says so with a status.
    assert (reason, digest in message) in (("DigestMismatch", True), ("FetchFailed", False)), message


@pytest.fixture(scope="module", params=["basic", "token"])
def closed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[registries.Registry]:
    """A registry that wants a password, or a token of another service that wants it; both hold one artifact."""
    folder = tmp_path_factory.mktemp(f"registry-{request.param}")
    with registries.running(folder, request.param) as found:
        found.push("private/iris:1", _model(folder / "pushed"))
        yield found


def _docker_config(host: str, password: str = registries.PASSWORD) -> dict[str, str]:
    auth = base64.b64encode(f"{registries.USER}:{password}".encode()).decode()
    return {"CREDENTIALS_.dockerconfigjson": json.dumps({"auths": {host: {"auth": auth}}})}


def test_a_login_is_the_keys_or_the_secret_that_kubectl_makes(
    closed: registries.Registry, tmp_path: Path
) -> None:
    named = f"oci://{closed.host}/private/iris:1"
    for number, login in enumerate(
        (LOGIN, _docker_config(closed.host), _docker_config(f"http://{closed.host}/v2/"))
    ):
        (tmp_path / str(number)).mkdir()
        assert _fetched(tmp_path / str(number), named, **PLAIN, **login) == {"": MODEL}


DENIED = {
    "nobody": {},
    "a wrong password": {**LOGIN, "CREDENTIALS_OCI_PASSWORD": "canary-wrong"},
    "a login for another registry": _docker_config("registry.example"),
    "a login for another repository": _docker_config("HOST/other"),
    "a login for a repository whose name begins alike": _docker_config("HOST/private/iri"),
}


@pytest.mark.parametrize("case", DENIED)
def test_whoever_may_not_pull_is_told_which_keys_are_wanted(
    closed: registries.Registry, tmp_path: Path, case: str
) -> None:
    login = {key: value.replace("HOST", closed.host) for key, value in DENIED[case].items()}
    reason, message = _refused(tmp_path, f"oci://{closed.host}/private/iris:1", **PLAIN, **login)
    assert reason == "AccessDenied", message
    assert ".dockerconfigjson, or OCI_USERNAME and OCI_PASSWORD," in message
    said = "do not allow it" if case == "a wrong password" else "no credentials were given"
    assert said in message


def test_a_secret_for_other_hosts_is_not_used(closed: registries.Registry, tmp_path: Path) -> None:
    reason, message = _refused(
        tmp_path, f"oci://{closed.host}/private/iris:1", **PLAIN, **LOGIN,
        CREDENTIALS_ALLOWED_HOSTS="registry.example",
    )  # fmt: skip
    assert (reason, "ALLOWED_HOSTS" in message) == ("AccessDenied", True)


def test_a_registry_with_a_token_service_serves_whoever_may_pull_without_a_login(tmp_path: Path) -> None:
    with registries.running(tmp_path / "registry", "token") as found:
        found.push("open/iris:1", _model(tmp_path / "pushed"))
        assert _fetched(tmp_path, f"oci://{found.host}/open/iris:1", **PLAIN) == {"": MODEL}
        reason, _ = _refused(tmp_path, f"oci://{found.host}/private/iris:1", **PLAIN)
        assert reason == "AccessDenied"


def test_a_token_that_has_run_out_is_renewed(tmp_path: Path) -> None:
    with registries.running(tmp_path / "registry", "token") as found:
        found.push("private/iris:1", _model(tmp_path / "pushed"))
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
        assert b"".join(origin.open_file(file).chunks) == MODEL
        assert len(found.tokens.asked) == so_far + 1


def test_a_registry_with_an_authority_of_its_own_is_trusted_by_the_secret(tmp_path: Path) -> None:
    with registries.running(tmp_path / "registry", "basic", tls=True) as found:
        found.push("private/iris:1", _model(tmp_path / "pushed"))
        assert found.ca is not None
        named = f"oci://{found.host}/private/iris:1"
        trusted = {"CREDENTIALS_ca.crt": found.ca.read_text()}
        assert _fetched(tmp_path, named, **LOGIN, **trusted) == {"": MODEL}
        reason, message = _refused(tmp_path / "untrusting", named, **LOGIN)
        assert (reason, "unknown authority" in message) == ("FetchFailed", True), message


def test_plain_http_has_to_be_asked_for(registry: registries.Registry, tmp_path: Path) -> None:
    reason, message = _refused(tmp_path, f"oci://{registry.host}/iris:1")
    assert reason == "FetchFailed"
    assert "OCI_PLAIN_HTTP" in message


def test_what_is_not_there_is_told_apart(registry: registries.Registry, tmp_path: Path) -> None:
    registry.put("there", "1", [_layer(registry, "there", MODEL, "x/y", "m.joblib")])
    missing = "sha256:" + "0" * 64
    for name, words in (
        ("there:2", "no tag '2'"),
        ("nowhere:1", "no tag '1' in 'nowhere'"),
        (f"there@{missing}", f"no manifest '{missing}'"),
    ):
        reason, message = _refused(tmp_path, f"oci://{registry.host}/{name}", **PLAIN)
        assert (reason, words in message) == ("ArtifactNotFound", True), message


DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a blob that is gone": (Path.unlink, "ArtifactNotFound", "lacks the blob"),
    "a blob that is cut off": (lambda path: path.write_bytes(path.read_bytes()[:100]), "FetchFailed", "damaged:1"),
    "a blob of other bytes": (
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), "FetchFailed", "arrived with the digest",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_blob_is_no_artifact(registry: registries.Registry, tmp_path: Path, case: str) -> None:
    how, reason, words = DAMAGE[case]
    content = MODEL + case.encode()
    registry.put("damaged", "1", [_layer(registry, "damaged", content, "x/y", "m.joblib")])
    how(registry.blob_path(_sha256(content)))
    found, message = _refused(tmp_path, f"oci://{registry.host}/damaged:1", **PLAIN)
    assert (found, words in message) == (reason, True), message
    assert not (tmp_path / "artifact/content").exists()


def _title(title: str) -> Callable[[registries.Registry], list[Any]]:
    return lambda registry: [
        _layer(registry, "odd", MODEL, "x/y", title),
        _layer(registry, "odd", b"b", "x/y", "b"),
    ]


ODD: dict[str, tuple[Callable[[registries.Registry], list[Any]], str, str]] = {
    "a title that leads up": (_title("../../escaped"), "UriUnsupported", "can't be a file name"),
    "an absolute title": (_title("/etc/passwd/.."), "UriUnsupported", "can't be a file name"),
    "two files of one name": (_title("b"), "UriUnsupported", "two of its layers"),
    "no layer": (lambda _registry: [], "UriUnsupported", "no layer"),
    "files without a title": (
        lambda registry: [_layer(registry, "odd", each, "x/y") for each in (b"a", b"b")], "UriUnsupported", "oras push",
    ),
    "a link in a layer": (
        lambda registry: [_layer(registry, "odd", _tar({"m": b"m"}, {"up": "../.."}), TAR)], "ArchiveRefused",
        "oci+volume",
    ),
    "a path up in a layer": (
        lambda registry: [_layer(registry, "odd", _tar({"../up": b"m"}), TAR)], "ArchiveRefused", "'..'",
    ),
    "a whiteout": (
        lambda registry: [_layer(registry, "odd", _tar(each), TAR) for each in ({"m": b"m"}, {".wh.m": b""})],
        "ArchiveRefused", "takes away",
    ),
    "the same file in two layers": (
        lambda registry: [_layer(registry, "odd", _tar(each), TAR) for each in ({"m": b"1"}, {"m": b"2"})],
        "ArchiveRefused", "'m'",
    ),
    "a layer that is encrypted": (
        lambda registry: [_layer(registry, "odd", MODEL, f"{TAR}+encrypted")], "UriUnsupported", "encrypted",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_what_can_be_no_model_is_refused_in_words(
    registry: registries.Registry, tmp_path: Path, case: str
) -> None:
    make, reason, words = ODD[case]
    registry.put("odd", "1", make(registry))
    found, message = _refused(tmp_path, f"oci://{registry.host}/odd:1", **PLAIN)
    assert (found, words in message) == (reason, True), message


def test_an_index_without_an_image_for_this_machine_names_what_there_is(
    registry: registries.Registry, tmp_path: Path
) -> None:
    _index(registry, "foreign", [{"os": "linux", "architecture": name} for name in ("s390x", "ppc64le")])
    reason, message = _refused(tmp_path, f"oci://{registry.host}/foreign:1", **PLAIN)
    assert (reason, "linux/ppc64le, linux/s390x" in message) == ("UriUnsupported", True), message


def test_an_artifact_over_the_limit_is_refused_before_a_byte_is_fetched(
    registry: registries.Registry, tmp_path: Path
) -> None:
    registry.put("large", "1", [_layer(registry, "large", MODEL, "x/y", "m.joblib")])
    reason, _ = _refused(tmp_path, f"oci://{registry.host}/large:1", MAX_ARTIFACT_BYTES="100", **PLAIN)
    assert reason == "ArtifactTooLarge"
