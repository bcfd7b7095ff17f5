"""Artifacts on volumes that somebody else filled: read whole or in spans, and never a file beside the volume."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import mounted, objectstore, ocivolume, opening, pvc

REFERENCE = "registry.example/models/iris:1"


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    """The mount of the claim `models`; a secret lies beside it."""
    mount = tmp_path / pvc.FOLDER / "models"
    (mount / "iris/deep").mkdir(parents=True)
    (mount / "iris/model.onnx").write_bytes(b"0123456789")
    (mount / "iris/deep/labels.txt").write_bytes(b"a\nb\n")
    (tmp_path / "secret").write_bytes(b"canary")
    return mount


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The mount of an image."""
    mount = tmp_path / ocivolume.FOLDER / ocivolume.folder_of(REFERENCE)
    mount.mkdir(parents=True)
    return mount


def open_source(tmp_path: Path, uri: str) -> source.Source:
    return opening.open_source(uris.parse(uri), source.Surroundings(mount_dir=tmp_path))


def content(origin: source.Source, path: str = "", span: source.Span | None = None) -> bytes:
    return b"".join(bytes(chunk) for chunk in origin.open_file(source.File(path, None), span).chunks)


def refusal(action: Callable[[], object]) -> errors.StartFailure:
    with pytest.raises(errors.StartFailure) as caught:
        action()
    assert "canary" not in caught.value.message
    return caught.value


def test_a_file_of_a_claim_is_read_whole_and_in_spans(tmp_path: Path, claim: Path) -> None:
    origin = open_source(tmp_path, "pvc://models/iris/model.onnx")
    assert origin.list_files() == source.Listing(False, (source.File("", 10),))
    assert content(origin) == b"0123456789"
    assert content(origin, span=source.Span(2, 5)) == b"234"
    assert content(origin, span=source.Span(8, None)) == b"89"
    assert content(origin, span=source.Span(8, 99)) == b"89"
    opened = origin.open_file(source.File("", None))
    assert (opened.size_bytes, opened.is_span) == (10, False)
    changed = opened.version
    (claim / "iris/model.onnx").write_bytes(b"01234567890")
    assert origin.open_file(source.File("", None)).version != changed


def test_a_file_that_changes_while_it_is_read_is_no_artifact(tmp_path: Path, claim: Path) -> None:
    opened = open_source(tmp_path, "pvc://models/iris/model.onnx").open_file(source.File("", None))
    (claim / "iris/model.onnx").write_bytes(b"another")
    found = refusal(lambda: list(opened.chunks))
    assert (found.reason, "changed while" in found.message) == (errors.Reason.FETCH_FAILED, True)


def test_a_folder_of_a_claim_is_every_file_below_it(tmp_path: Path, claim: Path) -> None:
    (claim / "iris/current.onnx").symlink_to("model.onnx")
    origin = open_source(tmp_path, "pvc://models/iris/")
    listing = origin.list_files()
    assert listing.is_folder
    assert {(file.path, file.size_bytes) for file in listing.files} == {
        ("current.onnx", 10),
        ("deep/labels.txt", 4),
        ("model.onnx", 10),
    }
    assert content(origin, "current.onnx") == b"0123456789"


def test_links_within_a_claim_are_followed(tmp_path: Path, claim: Path) -> None:
    (claim / "current").symlink_to("iris")
    (claim / "iris/up.onnx").symlink_to("../iris/model.onnx")
    origin = open_source(tmp_path, "pvc://models/current/up.onnx")
    assert content(origin) == b"0123456789"


def _link(claim: Path, target: str) -> str:
    (claim / "iris/stolen").symlink_to(target)
    return "pvc://models/iris/stolen"


def _link_up(claim: Path) -> str:
    (claim / "out").symlink_to("../..")
    return "../out"


AWAY: dict[str, Callable[[Path], str]] = {
    "a link to a file beside the claim": lambda claim: _link(claim, "../../../secret"),
    "an absolute link": lambda claim: _link(claim, str(claim.parent.parent / "secret")),
    "a link to the process": lambda claim: _link(claim, "/proc/self/environ"),
    "a link over a link": lambda claim: _link(claim, _link_up(claim) + "/secret"),
}


@pytest.mark.parametrize("case", AWAY)
def test_a_link_out_of_the_claim_is_refused_as_artifact_and_within_one(
    tmp_path: Path, claim: Path, case: str
) -> None:
    uri = AWAY[case](claim)
    for shown in (uri, "pvc://models/iris/"):
        found = refusal(open_source(tmp_path, shown).list_files)
        assert found.reason is errors.Reason.ACCESS_DENIED
        assert "out of the PersistentVolumeClaim 'models'" in found.message
        assert found.message.startswith(shown)


def test_a_link_that_is_exchanged_after_the_listing_is_refused(tmp_path: Path, claim: Path) -> None:
    origin = open_source(tmp_path, "pvc://models/iris/")
    origin.list_files()
    (claim / "iris/model.onnx").unlink()
    (claim / "iris/model.onnx").symlink_to("../../../secret")
    found = refusal(lambda: content(origin, "model.onnx"))
    assert (found.reason, "out of" in found.message) == (errors.Reason.ACCESS_DENIED, True)


def test_a_folder_that_is_exchanged_for_a_link_is_refused(tmp_path: Path, claim: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"canary")
    origin = open_source(tmp_path, "pvc://models/iris/")
    origin.list_files()
    (claim / "iris/deep").rename(claim / "iris/old")
    (claim / "iris/deep").symlink_to("../../..")
    assert refusal(lambda: content(origin, "deep/labels.txt")).reason is errors.Reason.ACCESS_DENIED


def _nothing(_claim: Path) -> None:
    pass


def _pipe(claim: Path) -> None:
    os.mkfifo(claim / "iris/pipe")


STRANGE: dict[str, tuple[Callable[[Path], object], str, errors.Reason, str]] = {
    "a path that is not there": (
        _nothing, "pvc://models/none", errors.Reason.ARTIFACT_NOT_FOUND, "check the path",
    ),
    "a path below a file": (
        _nothing, "pvc://models/iris/model.onnx/x", errors.Reason.ARTIFACT_NOT_FOUND, "check the path",
    ),
    "a claim that is not mounted": (
        _nothing, "pvc://others/x", errors.Reason.ARTIFACT_NOT_FOUND, "is not mounted",
    ),
    "an empty folder": (
        lambda claim: (claim / "empty").mkdir(), "pvc://models/empty/", errors.Reason.ARTIFACT_NOT_FOUND,
        "without any file",
    ),
    "a pipe": (_pipe, "pvc://models/iris/pipe", errors.Reason.ACCESS_DENIED, "neither a file nor a folder"),
    "a pipe in a folder": (_pipe, "pvc://models/iris/", errors.Reason.ACCESS_DENIED, "'pipe', which is no file"),
    "a link to a folder": (
        lambda claim: (claim / "iris/more").symlink_to("deep"), "pvc://models/iris/", errors.Reason.ACCESS_DENIED,
        "copy the folder itself",
    ),
    "a link to nothing": (
        lambda claim: (claim / "iris/none").symlink_to("nowhere"), "pvc://models/iris/",
        errors.Reason.ARTIFACT_NOT_FOUND, "check the path",
    ),
    "a circle": (
        lambda claim: (claim / "iris/circle").symlink_to("circle"), "pvc://models/iris/circle",
        errors.Reason.ACCESS_DENIED, "in a circle",
    ),
    "folders without an end": (
        lambda claim: (claim / "iris" / "/".join("d" * 40)).mkdir(parents=True), "pvc://models/iris/",
        errors.Reason.ACCESS_DENIED, "too deep",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STRANGE)
def test_what_can_not_be_an_artifact_is_told(tmp_path: Path, claim: Path, case: str) -> None:
    make, uri, reason, words = STRANGE[case]
    make(claim)
    found = refusal(lambda: open_source(tmp_path, uri).list_files())
    assert (found.reason, uri in found.message) == (reason, True)
    assert words in found.message


def test_a_pipe_that_took_a_files_place_is_not_waited_for(tmp_path: Path, claim: Path) -> None:
    origin = open_source(tmp_path, "pvc://models/iris/model.onnx")
    (claim / "iris/model.onnx").unlink()
    os.mkfifo(claim / "iris/model.onnx")
    assert refusal(lambda: content(origin)).reason is errors.Reason.ACCESS_DENIED


def test_a_folder_of_too_many_files_is_refused(
    tmp_path: Path, claim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objectstore, "MAX_FILES", 1)
    found = refusal(open_source(tmp_path, "pvc://models/iris/").list_files)
    assert (found.reason, "more than 1 files" in found.message) == (errors.Reason.ARTIFACT_TOO_LARGE, True)


def test_what_the_user_may_not_read_is_told_with_the_remedy(tmp_path: Path, claim: Path) -> None:
    origin = mounted.MountedSource("pvc://models/iris", "the claim", claim, "iris")

    def listing(_path: object) -> object:
        raise PermissionError(13, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", listing)  # the tests may run as root, whom nothing is denied
        found = refusal(origin.list_files)
    assert (found.reason, "10001" in found.message) == (errors.Reason.ACCESS_DENIED, True)


def test_an_image_is_its_models_folder_or_the_whole_of_it(tmp_path: Path, image: Path) -> None:
    (image / "README").write_bytes(b"x")
    origin = open_source(tmp_path, f"oci+volume://{REFERENCE}")
    assert [file.path for file in origin.list_files().files] == ["README"]
    (image / "models").mkdir()
    (image / "models/m.onnx").write_bytes(b"model")
    assert [file.path for file in open_source(tmp_path, f"oci+volume://{REFERENCE}").list_files().files] == [
        "m.onnx"
    ]
    assert content(open_source(tmp_path, f"oci+volume://{REFERENCE}/models/m.onnx")) == b"model"


def test_an_empty_image_volume_names_the_version_that_has_them(tmp_path: Path, image: Path) -> None:
    found = refusal(lambda: open_source(tmp_path, f"oci+volume://{REFERENCE}/models"))
    assert found.reason is errors.Reason.ARTIFACT_NOT_FOUND
    assert "Kubernetes 1.35" in found.message
    assert f"oci://{REFERENCE}" in found.message
