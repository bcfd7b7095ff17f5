"""What manifests say, which login is for which registry, and where a password may go."""

import base64
import json
from typing import Any

import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials, references
from modelyard_runtime.artifact.archives import kinds
from modelyard_runtime.artifact.sources import ociaccess, ocimanifest

DIGEST = "sha256:" + "0a" * 32
OTHER = "sha256:" + "0b" * 32
TAR = "application/vnd.oci.image.layer.v1.tar"


def layer(media_type: str, title: str = "", **annotations: str) -> dict[str, Any]:
    named = {"org.opencontainers.image.title": title} if title else {}
    return {"mediaType": media_type, "digest": DIGEST, "size": 3, "annotations": {**named, **annotations}}


def manifest(*layers: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "layers": list(layers), **fields}).encode()


def read(content: bytes, machine: str = "x86_64") -> ocimanifest.Artifact:
    found = ocimanifest.read(content, "oci://r/iris:1", machine)
    assert isinstance(found, ocimanifest.Artifact)
    return found


# sentence: (layers, path and packing of each)
LAYOUTS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, kinds.Kind | None]]]] = {
    "a file as oras types it": ([layer(TAR, "model.joblib")], [("model.joblib", None)]),
    "a file of no type": ([layer("", "./deep/model.joblib")], [("deep/model.joblib", None)]),
    "a file without a title": ([layer("x/y")], [("model", None)]),
    "a name with a percent sign": ([layer("x/y", "a%20b")], [("a%20b", None)]),
    "a packed folder": ([layer(f"{TAR}+gzip", "iris")], [("layer.tar.gz", kinds.Kind.TAR_GZ)]),
    "a packed folder that is marked": (
        [layer("x/y", "iris", **{"io.deis.oras.content.unpack": "true"})], [("layer.tar.gz", kinds.Kind.TAR_GZ)],
    ),
    "an archive": ([layer(TAR, "iris.tar.zst")], [("layer.tar.zst", kinds.Kind.TAR_ZST)]),
    "a ZIP archive": ([layer("x/y", "iris.zip")], [("layer.zip", kinds.Kind.ZIP)]),
    "an archive among others stays whole": (
        [layer(f"{TAR}+gzip", "iris.tar.gz"), layer("x/y", "b")], [("iris.tar.gz", None), ("b", None)],
    ),
    "an image": ([layer(f"{TAR}+zstd"), layer(TAR)],
                 [("layer-00000.tar.zst", kinds.Kind.TAR_ZST), ("layer-00001.tar", kinds.Kind.TAR)]),
    "an image as Docker types it": (
        [layer("application/vnd.docker.image.rootfs.diff.tar.gzip")], [("layer.tar.gz", kinds.Kind.TAR_GZ)],
    ),
    "the model format, packed": (
        [layer("application/vnd.cncf.model.weight.v1.tar", **{"org.cncf.model.filepath": "m.onnx"})],
        [("layer.tar", kinds.Kind.TAR)],
    ),
    "the model format, plain": (
        [layer("application/vnd.cncf.model.weight.v1.raw", **{"org.cncf.model.filepath": "m.onnx"})],
        [("m.onnx", None)],
    ),
    "nothing beside it": ([layer("application/vnd.oci.empty.v1+json"), layer("x/y", "m")], [("m", None)]),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_manifest_is_read(case: str) -> None:
    layers, expected = LAYOUTS[case]
    found = read(manifest(*layers))
    assert [(each.path, each.packed) for each in found.layers] == expected
    assert found.is_folder == (len(expected) > 1)
    assert list(ocimanifest.packed(found)) == [path for path, kind in expected if kind]


BAD = {
    "no JSON": (b"<html>", "can't be read"),
    "another version": (b'{"schemaVersion": 1}', "version 1"),
    "no layers": (manifest(), "no layer"),
    "another kind of digest": (
        manifest({"mediaType": "x/y", "digest": "sha512:" + "0" * 128, "size": 1}), "only sha256",
    ),
    "a digest that leads elsewhere": (
        manifest({"mediaType": "x/y", "digest": "sha256:../../x", "size": 1}), "only sha256",
    ),
    "a negative size": (manifest({"mediaType": "x/y", "digest": DIGEST, "size": -1}), "only sha256"),
    "a title with NUL": (manifest(layer("x/y", "a\0b"), layer("x/y", "c")), "can't be a file name"),
    "an encrypted layer": (manifest(layer(f"{TAR}+encrypted")), "encrypted"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_manifest_is_refused_in_words(case: str) -> None:
    content, words = BAD[case]
    with pytest.raises(errors.StartFailure) as caught:
        read(content)
    assert (caught.value.reason, words in caught.value.message) == (errors.Reason.URI_UNSUPPORTED, True)


def index(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": list(entries)}).encode()


def entry(digest: str, architecture: str = "", **fields: Any) -> dict[str, Any]:
    named = {"platform": {"os": "linux", "architecture": architecture}} if architecture else {}
    return {
        "digest": digest,
        "size": 3,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        **named,
        **fields,
    }


def test_the_image_for_this_machine_is_chosen_and_attestations_are_none() -> None:
    attested = entry(OTHER, "unknown", annotations={"vnd.docker.reference.type": "attestation-manifest"})
    for entries, machine in (
        ((entry(DIGEST, "amd64"), entry(OTHER, "arm64")), "x86_64"),
        ((entry(DIGEST, "arm64"), entry(OTHER, "amd64")), "aarch64"),
        ((entry(DIGEST, "s390x"), attested), "x86_64"),
        ((entry(DIGEST),), "x86_64"),
    ):
        found = ocimanifest.read(index(*entries), "oci://r/iris:1", machine)
        assert isinstance(found, ocimanifest.Descriptor)
        assert found.digest == DIGEST


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (index(), "offers nothing"),
        (index(entry(DIGEST, "s390x"), entry(OTHER, "ppc64le")), "linux/ppc64le, linux/s390x"),
        (index(entry(DIGEST, "amd64"), entry(OTHER, "amd64")), "2 images"),
        (index(entry(DIGEST, mediaType="application/vnd.oci.image.index.v1+json")), "index of indexes"),
    ],
)
def test_an_index_that_leaves_a_choice_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(errors.StartFailure) as caught:
        ocimanifest.read(content, "oci://r/iris:1", "x86_64")
    assert words in caught.value.message


def login(registry: str, auths: dict[str, Any], repository: str = "team/iris") -> ociaccess.Login | None:
    image = references.Image(registry, repository, "1", None, "")
    values = {ociaccess.DOCKER_CONFIG: json.dumps({"auths": auths})}
    return ociaccess.login(image, credentials.Credentials(values))


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def test_a_login_counts_for_its_registry_and_path_alone() -> None:
    one = {"username": "u", "password": "p"}
    for key in (
        "r.example",
        "https://r.example",
        "r.example/team",
        "http://R.example/v2/",
        "r.example/team/iris",
    ):
        assert login("r.example", {key: one}) == ociaccess.Login("u", "p"), key
    for key in (
        "r.example:5000",
        "example",
        "evil-r.example",
        "r.example.evil",
        "r.example/tea",
        "r.example/team/iris/x",
    ):
        assert login("r.example", {key: one}) is None, key
    assert login("docker.io", {"https://index.docker.io/v1/": one}) == ociaccess.Login("u", "p")
    assert login("docker.io", {"r.example": one}) is None


def test_the_entry_with_the_longest_path_counts() -> None:
    found = login(
        "r", {"r": encoded("all:1"), "r/team": encoded("team:2"), "r/team/iris": encoded("iris:a:b")}
    )
    assert found == ociaccess.Login("iris", "a:b")
    assert "a:b" not in repr(found)


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": 1}', '{"auths": {"r": {"auth": "canary!"}}}'])
def test_a_secret_that_can_not_be_read_is_told_without_what_is_in_it(text: str) -> None:
    image = references.Image("r", "iris", "1", None, "")
    with pytest.raises(errors.StartFailure) as caught:
        ociaccess.login(image, credentials.Credentials({ociaccess.DOCKER_CONFIG: text}))
    assert caught.value.reason is errors.Reason.SETTINGS_INVALID
    assert ".dockerconfigjson" in caught.value.message
    assert "canary" not in caught.value.message


def test_a_challenge_is_understood_or_nothing() -> None:
    text = 'Bearer realm="https://auth.example/token",service="r, the second",scope="repository:x:pull"'
    assert ociaccess.parse_challenge(text) == ociaccess.Challenge(
        "bearer", "https://auth.example/token", "r, the second"
    )
    assert ociaccess.parse_challenge("basic realm=words") == ociaccess.Challenge("basic", "words", "")
    for nothing in ("", "Bearer", "Negotiate abc", 'Digest realm="x"'):
        assert ociaccess.parse_challenge(nothing) is None


def test_a_password_goes_to_a_token_service_with_tls_or_where_the_registry_has_none() -> None:
    def url(realm: str, allow_http: bool = False) -> str | None:
        return ociaccess.token_url(ociaccess.Challenge("bearer", realm, "s"), "team/iris", allow_http)

    assert url("https://a.example/t?x=1") == (
        "https://a.example/t?x=1&scope=repository%3Ateam%2Firis%3Apull&service=s"
    )
    assert url("http://a.example/t") is None
    assert url("http://a.example/t", True) is not None
    for realm in ("", "words", "//a.example/t", "file:///etc/passwd", "https://[::1/t"):
        assert url(realm, True) is None, realm
