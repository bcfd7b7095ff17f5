"""`fetch` from a real registry: what oras and buildah push, and what a registry or an artifact gets wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runtime import oci_fetching, registries

WEIGHTS = "application/vnd.cncf.model.weight.v1.raw"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registries.Registry]:
    """A registry that asks for nothing."""
    with registries.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


def test_a_file_that_oras_has_pushed_arrives_and_its_digest_is_the_files(
    registry: registries.Registry, tmp_path: Path
) -> None:
    registry.push("team/iris:1.0", oci_fetching.model(tmp_path / "pushed"))
    named = f"oci://{registry.host}/team/iris:1.0"
    assert oci_fetching.fetched(
        tmp_path, named, MODEL_DIGEST=oci_fetching.sha256(oci_fetching.MODEL), **oci_fetching.PLAIN
    ) == {"": oci_fetching.MODEL}


def test_several_files_arrive_as_a_folder(registry: registries.Registry, tmp_path: Path) -> None:
    files = [
        oci_fetching.model(tmp_path / "pushed"),
        oci_fetching.model(tmp_path / "pushed", "labels.txt", b"a\nb\n"),
    ]
    registry.push("several:1", *files)
    assert oci_fetching.fetched(tmp_path, f"oci://{registry.host}/several:1", **oci_fetching.PLAIN) == {
        "model.joblib": oci_fetching.MODEL,
        "labels.txt": b"a\nb\n",
    }


def test_a_folder_that_oras_has_packed_is_unpacked(registry: registries.Registry, tmp_path: Path) -> None:
    oci_fetching.model(tmp_path / "pushed/iris")
    oci_fetching.model(tmp_path / "pushed/iris/deep", "labels.txt", b"a\n")
    registry.push("packed:1", tmp_path / "pushed/iris")
    assert oci_fetching.fetched(tmp_path, f"oci://{registry.host}/packed:1", **oci_fetching.PLAIN) == {
        "model.joblib": oci_fetching.MODEL,
        "deep/labels.txt": b"a\n",
    }


def test_an_image_that_buildah_has_pushed_is_unpacked(registry: registries.Registry, tmp_path: Path) -> None:
    oci_fetching.model(tmp_path / "models")
    oci_fetching.model(tmp_path / "models", "labels.txt", b"a\n")
    registry.push_image("image:1", tmp_path / "models", tmp_path)
    assert oci_fetching.fetched(tmp_path, f"oci://{registry.host}/image:1", **oci_fetching.PLAIN) == {
        "model.joblib": oci_fetching.MODEL,
        "labels.txt": b"a\n",
    }


def test_layers_of_the_model_format_are_one_folder(registry: registries.Registry, tmp_path: Path) -> None:
    raw = {
        **registry.put_blob("modelpack", oci_fetching.MODEL),
        "mediaType": WEIGHTS,
        "annotations": {"org.cncf.model.filepath": "model.joblib"},
    }
    packed = [
        oci_fetching.layer(
            registry,
            "modelpack",
            oci_fetching.tar({name: name.encode()}),
            "application/vnd.cncf.model.weight.config.v1.tar",
        )
        for name in ("labels.txt", "deep/config.json")
    ]
    registry.put("modelpack", "1", [raw, *packed])
    assert oci_fetching.fetched(tmp_path, f"oci://{registry.host}/modelpack:1", **oci_fetching.PLAIN) == {
        "model.joblib": oci_fetching.MODEL,
        "labels.txt": b"labels.txt",
        "deep/config.json": b"deep/config.json",
    }


def _index(registry: registries.Registry, repository: str, platforms: list[dict[str, str]]) -> None:
    manifests = []
    for number, platform in enumerate(platforms):
        content = oci_fetching.MODEL + str(number).encode()
        digest = registry.put(
            repository,
            f"part-{number}",
            [oci_fetching.layer(registry, repository, content, "x/y", "m.joblib")],
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
    assert (
        oci_fetching.fetched(tmp_path, f"oci://{registry.host}/index:1", **oci_fetching.PLAIN)[""][:-1]
        == oci_fetching.MODEL
    )


def test_an_index_of_one_is_that_one(registry: registries.Registry, tmp_path: Path) -> None:
    _index(registry, "one", [{"os": "linux", "architecture": "s390x"}])
    assert oci_fetching.fetched(tmp_path, f"oci://{registry.host}/one:1", **oci_fetching.PLAIN) == {
        "": oci_fetching.MODEL + b"0"
    }


def test_a_digest_in_the_uri_is_the_manifests(registry: registries.Registry, tmp_path: Path) -> None:
    digest = registry.put(
        "pinned", "1", [oci_fetching.layer(registry, "pinned", oci_fetching.MODEL, "x/y", "m.joblib")]
    )
    assert oci_fetching.fetched(tmp_path, f"oci://{registry.host}/pinned@{digest}", **oci_fetching.PLAIN) == {
        "": oci_fetching.MODEL
    }
    registry.blob_path(digest).write_bytes(registry.blob_path(digest).read_bytes() + b" ")
    reason, message = oci_fetching.refused(
        tmp_path / "again", f"oci://{registry.host}/pinned@{digest}", **oci_fetching.PLAIN
    )
    # The registry itself may notice: then it says so with a status.
    assert (reason, digest in message) in (("DigestMismatch", True), ("FetchFailed", False)), message


def test_plain_http_has_to_be_asked_for(registry: registries.Registry, tmp_path: Path) -> None:
    reason, message = oci_fetching.refused(tmp_path, f"oci://{registry.host}/iris:1")
    assert reason == "FetchFailed"
    assert "OCI_PLAIN_HTTP" in message


def test_what_is_not_there_is_told_apart(registry: registries.Registry, tmp_path: Path) -> None:
    registry.put("there", "1", [oci_fetching.layer(registry, "there", oci_fetching.MODEL, "x/y", "m.joblib")])
    missing = "sha256:" + "0" * 64
    for name, words in (
        ("there:2", "no tag '2'"),
        ("nowhere:1", "no tag '1' in 'nowhere'"),
        (f"there@{missing}", f"no manifest '{missing}'"),
    ):
        reason, message = oci_fetching.refused(
            tmp_path, f"oci://{registry.host}/{name}", **oci_fetching.PLAIN
        )
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
    content = oci_fetching.MODEL + case.encode()
    registry.put("damaged", "1", [oci_fetching.layer(registry, "damaged", content, "x/y", "m.joblib")])
    how(registry.blob_path(oci_fetching.sha256(content)))
    found, message = oci_fetching.refused(tmp_path, f"oci://{registry.host}/damaged:1", **oci_fetching.PLAIN)
    assert (found, words in message) == (reason, True), message
    assert not (tmp_path / "artifact/content").exists()


def _title(title: str) -> Callable[[registries.Registry], list[Any]]:
    return lambda registry: [
        oci_fetching.layer(registry, "odd", oci_fetching.MODEL, "x/y", title),
        oci_fetching.layer(registry, "odd", b"b", "x/y", "b"),
    ]


ODD: dict[str, tuple[Callable[[registries.Registry], list[Any]], str, str]] = {
    "a title that leads up": (_title("../../escaped"), "UriUnsupported", "can't be a file name"),
    "an absolute title": (_title("/etc/passwd/.."), "UriUnsupported", "can't be a file name"),
    "two files of one name": (_title("b"), "UriUnsupported", "two of its layers"),
    "no layer": (lambda _registry: [], "UriUnsupported", "no layer"),
    "files without a title": (
        lambda registry: [oci_fetching.layer(registry, "odd", each, "x/y") for each in (b"a", b"b")],
        "UriUnsupported",
        "oras push",
    ),
    "a link in a layer": (
        lambda registry: [
            oci_fetching.layer(
                registry, "odd", oci_fetching.tar({"m": b"m"}, {"up": "../.."}), oci_fetching.TAR
            )
        ],
        "ArchiveRefused",
        "oci+volume",
    ),
    "a path up in a layer": (
        lambda registry: [
            oci_fetching.layer(registry, "odd", oci_fetching.tar({"../up": b"m"}), oci_fetching.TAR)
        ],
        "ArchiveRefused",
        "'..'",
    ),
    "a whiteout": (
        lambda registry: [
            oci_fetching.layer(registry, "odd", oci_fetching.tar(each), oci_fetching.TAR)
            for each in ({"m": b"m"}, {".wh.m": b""})
        ],
        "ArchiveRefused",
        "takes away",
    ),
    "the same file in two layers": (
        lambda registry: [
            oci_fetching.layer(registry, "odd", oci_fetching.tar(each), oci_fetching.TAR)
            for each in ({"m": b"1"}, {"m": b"2"})
        ],
        "ArchiveRefused",
        "'m'",
    ),
    "a layer that is encrypted": (
        lambda registry: [
            oci_fetching.layer(registry, "odd", oci_fetching.MODEL, f"{oci_fetching.TAR}+encrypted")
        ],
        "UriUnsupported",
        "encrypted",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_what_can_be_no_model_is_refused_in_words(
    registry: registries.Registry, tmp_path: Path, case: str
) -> None:
    make, reason, words = ODD[case]
    registry.put("odd", "1", make(registry))
    found, message = oci_fetching.refused(tmp_path, f"oci://{registry.host}/odd:1", **oci_fetching.PLAIN)
    assert (found, words in message) == (reason, True), message


def test_an_index_without_an_image_for_this_machine_names_what_there_is(
    registry: registries.Registry, tmp_path: Path
) -> None:
    _index(registry, "foreign", [{"os": "linux", "architecture": name} for name in ("s390x", "ppc64le")])
    reason, message = oci_fetching.refused(tmp_path, f"oci://{registry.host}/foreign:1", **oci_fetching.PLAIN)
    assert (reason, "linux/ppc64le, linux/s390x" in message) == ("UriUnsupported", True), message


def test_an_artifact_over_the_limit_is_refused_before_a_byte_is_fetched(
    registry: registries.Registry, tmp_path: Path
) -> None:
    registry.put("large", "1", [oci_fetching.layer(registry, "large", oci_fetching.MODEL, "x/y", "m.joblib")])
    reason, _ = oci_fetching.refused(
        tmp_path, f"oci://{registry.host}/large:1", MAX_ARTIFACT_BYTES="100", **oci_fetching.PLAIN
    )
    assert reason == "ArtifactTooLarge"
