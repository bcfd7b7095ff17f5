"""Only what the holder of the key has signed is committed; every other case is refused in words."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from modelyard_runtime import errors, fetchsettings
from modelyard_runtime.artifact import digest, fetch, manifest, signature, signature_bundle, source
from modelyard_runtime.artifact.archives import kinds, unpacking
from modelyard_runtime.artifact.sources import opening
from tests.support import archive_making, signing

KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
INVALID = errors.Reason.SIGNATURE_INVALID


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The mounted Secret."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "key.pub").write_bytes(signing.pem(KEY))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    joblib.dump([1, 2, 3], tmp_path / "m.joblib")
    return tmp_path / "m.joblib"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    (root / "deep").mkdir(parents=True)
    joblib.dump([1, 2, 3], root / "model.joblib")
    (root / "deep" / "notes.txt").write_text("hello")
    (root / ".gitattributes").write_text("* lfs")
    return root


def _fetch(uri: str, target: Path, keys: Path, **changes: Any) -> manifest.Manifest:
    environment = {
        "MODELYARD_MODEL_URI": uri,
        "MODELYARD_ARTIFACT_DIR": str(target / "artifact"),
        "MODELYARD_FILE_ROOTS": str(target),
        "MODELYARD_SIGNATURE_KEY_DIR": str(keys),
        **changes,
    }
    return fetch.fetch(fetchsettings.read(environment), {}, lambda _: None)


def _refused(uri: str, target: Path, keys: Path, reason: errors.Reason = INVALID, **changes: Any) -> str:
    with pytest.raises(errors.StartFailure) as caught:
        _fetch(uri, target, keys, **changes)
    assert caught.value.reason is reason, caught.value.message
    assert not (target / "artifact/manifest.json").exists()
    return caught.value.message


def test_a_signed_file_is_served(model: Path, tmp_path: Path, keys: Path) -> None:
    Path(f"{model}.sig").write_bytes(signing.sign(model, KEY))
    found = _fetch(f"file://{model}", tmp_path, keys)
    assert found.digest == digest.of_file(model)
    assert found.content_digest is None
    assert sorted(path.name for path in (tmp_path / "artifact").rglob("*")) == [
        "content",
        "m.joblib",
        "manifest.json",
    ]


def test_the_signature_may_be_elsewhere_and_the_key_called_otherwise(
    model: Path, tmp_path: Path, keys: Path
) -> None:
    (tmp_path / "elsewhere").write_bytes(signing.sign(model, OTHER_KEY))
    (keys / "team").write_bytes(signing.pem(KEY) + b"\n# the key of last year\n" + signing.pem(OTHER_KEY))
    named = {"MODELYARD_SIGNATURE_KEY": "team", "MODELYARD_SIGNATURE_URI": f"file://{tmp_path}/elsewhere"}
    assert _fetch(f"file://{model}", tmp_path, keys, **named).digest == digest.of_file(model)


def test_a_folder_has_its_signature_inside_and_what_is_unsigned_is_removed(
    folder: Path, tmp_path: Path, keys: Path
) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "model.joblib").write_bytes(b"evil")
    (folder / "model.sig").write_bytes(signing.sign(folder, KEY, ["model.sig", ".git", ".gitattributes"]))
    found = _fetch(f"file://{folder}/", tmp_path, keys)
    content = tmp_path / "artifact/content/models"
    assert found.digest == digest.of_path(folder)
    assert found.content_digest == digest.of_path(content)
    assert found.bytes == sum(path.stat().st_size for path in content.rglob("*") if path.is_file())
    assert {path.name for path in content.rglob("*") if path.is_file()} == {"model.joblib", "notes.txt"}
    assert _fetch(f"file://{folder}/", tmp_path, keys) == found


def test_an_archive_is_signed_as_it_is_published(tmp_path: Path, keys: Path, model: Path) -> None:
    archive = tmp_path / "m.zip"
    archive.write_bytes(archive_making.zipped(("m.joblib", model.read_bytes())))
    Path(f"{archive}.sig").write_bytes(signing.sign(archive, KEY))
    assert _fetch(f"file://{archive}", tmp_path, keys).path == "content/m"


class Layers:
    """An artifact in layers, as a registry lists it."""

    def __init__(self, *layers: bytes) -> None:
        self._layers = {f"{number}.tar": layer for number, layer in enumerate(layers)}

    def list_files(self) -> source.Listing:
        files = tuple(source.File(name, len(layer)) for name, layer in self._layers.items())
        return source.Listing(True, files, dict.fromkeys(self._layers, kinds.Kind.TAR))

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        return source.Content(file.size_bytes, iter([self._layers[file.path]]))


@pytest.mark.parametrize("changed", [b"", b"evil"])
def test_layers_are_signed_as_the_folder_that_they_hold(
    changed: bytes, folder: Path, tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "model.sig").write_bytes(signing.sign(folder, KEY, ["model.sig", ".gitattributes"]))
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    packed = [archive_making.file(name, (folder / name).read_bytes()) for name in sorted(names)]
    extra = [archive_making.file("extra", changed)] if changed else []
    layers = Layers(archive_making.tar(*packed[:2]), archive_making.tar(*packed[2:], *extra))
    monkeypatch.setattr(opening, "open_source", lambda *_: layers)
    uri = "oci://registry.example/team/model:1"
    if changed:
        assert "'extra' is not signed" in _refused(uri, tmp_path, keys)
        return
    found = _fetch(uri, tmp_path, keys)
    content = tmp_path / "artifact" / found.path
    assert {path.name for path in content.rglob("*") if path.is_file()} == {"model.joblib", "notes.txt"}
    assert found.content_digest == digest.of_path(content)


def test_an_archive_is_not_unpacked_before_its_signature_is_right(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(*arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr(unpacking, "unpack", unexpected)
    archive = tmp_path / "m.tar"
    archive.write_bytes(archive_making.tar(archive_making.file("m.joblib")))
    Path(f"{archive}.sig").write_bytes(signing.sign(archive, OTHER_KEY))
    assert "was signed with the key" in _refused(f"file://{archive}", tmp_path, keys)


def test_blake2_counts_too(folder: Path) -> None:
    statement = signing.statement(folder, algorithm="blake2b")
    content = json.dumps(signing.bundle(statement, KEY)).encode()
    signed = signature_bundle.verify(content, signature_bundle.read_keys(signing.pem(KEY)))
    assert signature._check_folder(signed, folder, None) is None


def _no_signature(model: Path) -> str:
    return f"there is no signature at file://{model}.sig"


def _other_key(model: Path) -> str:
    Path(f"{model}.sig").write_bytes(signing.sign(model, OTHER_KEY))
    other, given = (hashlib.sha256(signing.pem(key)).hexdigest()[:12] for key in (OTHER_KEY, KEY))
    return f"signed with the key {other}…, and the key that is asked for is {given}…"


def _other_bytes(model: Path) -> str:
    Path(f"{model}.sig").write_bytes(signing.sign(model, KEY))
    joblib.dump([1, 2, 4], model)
    return "not the one that was signed"


def _of_a_folder(model: Path) -> str:
    content = model.read_bytes()
    model.unlink()
    model.mkdir()
    (model / "m").write_bytes(content)
    Path(f"{model}.sig").write_bytes(signing.sign(model, KEY))
    (model / "m").unlink()
    model.rmdir()
    model.write_bytes(content)
    return "is of a folder"


def _too_long(model: Path) -> str:
    with Path(f"{model}.sig").open("wb") as file:
        file.truncate(signature.MAX_BYTES + 1)
    return "MODELYARD_MAX_ARTIFACT_BYTES"


@pytest.mark.parametrize("spoil", [_no_signature, _other_key, _other_bytes, _of_a_folder])
def test_a_file_that_is_not_signed_is_refused(
    spoil: Callable[[Path], str], model: Path, tmp_path: Path, keys: Path
) -> None:
    says = spoil(model)
    assert says in _refused(f"file://{model}", tmp_path, keys)


def test_a_signature_without_end_is_not_read(model: Path, tmp_path: Path, keys: Path) -> None:
    _too_long(model)
    _refused(f"file://{model}", tmp_path, keys, errors.Reason.ARTIFACT_TOO_LARGE)


def _add_extra(folder: Path) -> str:
    (folder / "extra.bin").write_bytes(b"")
    return "'extra.bin' is not signed"


def _add_many(folder: Path) -> str:
    for number in range(5):
        (folder / f"extra{number}").write_bytes(b"")
    return "'extra0', 'extra1', 'extra2' and 2 more is not signed"


def _change_one(folder: Path) -> str:
    (folder / "deep" / "notes.txt").write_text("hallo")
    return "'deep/notes.txt' is not the file that was signed"


def _lose_one(folder: Path) -> str:
    (folder / "deep" / "notes.txt").unlink()
    return "'deep/notes.txt' was signed and is missing"


def _lose_signature(folder: Path) -> str:
    (folder / "model.sig").unlink()
    return "has no file model.sig"


def _of_one_file(folder: Path) -> str:
    (folder / "model.sig").write_bytes(signing.sign(folder / "model.joblib", KEY))
    return "is of a single file"


def _leave_out_everything(folder: Path) -> str:
    statement = signing.statement(folder, ["model.sig"])
    statement["predicate"]["serialization"]["ignore_paths"] = [".", "./", ""]
    (folder / "model.sig").write_text(json.dumps(signing.bundle(statement, KEY)))
    (folder / "extra.bin").write_bytes(b"")
    return "'extra.bin' is not signed"


@pytest.mark.parametrize(
    "spoil",
    [_add_extra, _add_many, _change_one, _lose_one, _lose_signature, _of_one_file, _leave_out_everything],
)
def test_a_folder_that_is_not_signed_is_refused(
    spoil: Callable[[Path], str], folder: Path, tmp_path: Path, keys: Path
) -> None:
    (folder / "model.sig").write_bytes(signing.sign(folder, KEY, ["model.sig"]))
    says = spoil(folder)
    assert says in _refused(f"file://{folder}/", tmp_path, keys)


def test_a_missing_key_is_told(model: Path, tmp_path: Path, keys: Path) -> None:
    Path(f"{model}.sig").write_bytes(signing.sign(model, KEY))
    named = {"MODELYARD_SIGNATURE_KEY": "team.pub"}
    message = _refused(f"file://{model}", tmp_path, keys, errors.Reason.SECRET_MISSING, **named)
    assert "'team.pub'" in message


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://models/m.onnx", "s3://models/m.onnx.sig"),
        ("https://host/m.onnx?token=1", "https://host/m.onnx.sig?token=1"),
        ("s3://models/what?.onnx", "s3://models/what?.onnx.sig"),
        ("hf://org/repo@v1/m.onnx", "hf://org/repo@v1/m.onnx.sig"),
    ],
)
def test_a_files_signature_lies_beside_it(uri: str, expected: str) -> None:
    asked = fetchsettings.SignatureSettings(Path("/keys"))
    assert signature.uri_of(asked, uri) == expected


def test_where_nobody_can_know_the_signature_is_to_be_named() -> None:
    with pytest.raises(errors.StartFailure, match=r"spec\.model\.signature\.uri"):
        signature.uri_of(fetchsettings.SignatureSettings(Path("/keys")), "oci://host/model:1")


def test_fetch_pays_for_the_library_only_where_a_signature_is_asked_for() -> None:
    code = "import sys; from modelyard_runtime.artifact import fetch; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
