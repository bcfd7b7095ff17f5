"""Digests, the manifest, and a store that never shows a half-written artifact."""

import hashlib
from pathlib import Path

import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import digest, manifest, store

URI = "s3://models/m.pkl"


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_digest_of_a_file_is_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"abc" * 1_000_000)
    assert digest.of_path(tmp_path / "m") == "sha256:" + _sha(b"abc" * 1_000_000)


def test_the_digest_of_a_folder_is_of_its_sorted_lines(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"2")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "z").write_bytes(b"1")
    (tmp_path / "a.b").write_bytes(b"3")
    lines = f"a.b\0{_sha(b'3')}\na/z\0{_sha(b'1')}\nb\0{_sha(b'2')}\n"
    assert digest.of_path(tmp_path) == "sha256:" + _sha(lines.encode())


def test_moving_bytes_between_files_changes_the_digest_of_a_folder() -> None:
    one, two = "sha256:" + _sha(b"1"), "sha256:" + _sha(b"2")
    assert digest.of_entries([("a", one), ("b", two)]) == digest.of_entries([("b", two), ("a", one)])
    assert digest.of_entries([("a", one), ("b", two)]) != digest.of_entries([("a", two), ("b", one)])


def _committed(folder: Path) -> manifest.Manifest:
    target = store.Store(folder)
    staged = target.prepare("m.pkl")
    staged.write_bytes(b"model")
    return target.commit(staged, URI, "sha256:" + _sha(b"model"), 5)


def test_what_was_committed_is_found(tmp_path: Path) -> None:
    written = _committed(tmp_path)
    assert written == manifest.Manifest(URI, "sha256:" + _sha(b"model"), "content/m.pkl", 5)
    assert store.Store(tmp_path).open() == (written, tmp_path / "content" / "m.pkl")
    assert store.Store(tmp_path).complete(URI, None) == written
    assert store.Store(tmp_path).complete(URI, written.digest) == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["content", "manifest.json"]


def test_another_uri_or_digest_is_not_what_is_here(tmp_path: Path) -> None:
    _committed(tmp_path)
    assert store.Store(tmp_path).complete("s3://models/other.pkl", None) is None
    assert store.Store(tmp_path).complete(URI, "sha256:" + "0" * 64) is None


def test_altered_content_is_fetched_again(tmp_path: Path) -> None:
    _committed(tmp_path)
    (tmp_path / "content" / "m.pkl").write_bytes(b"tampered")
    assert store.Store(tmp_path).complete(URI, None) is None


def test_missing_content_is_fetched_again(tmp_path: Path) -> None:
    _committed(tmp_path)
    (tmp_path / "content" / "m.pkl").unlink()
    assert store.Store(tmp_path).complete(URI, None) is None


def test_a_fetch_that_began_leaves_nothing_of_before(tmp_path: Path) -> None:
    _committed(tmp_path)
    (tmp_path / ".staging").mkdir()
    (tmp_path / ".staging" / "half").write_bytes(b"x")
    store.Store(tmp_path).prepare("new.pkl")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [".staging"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"uri": "u", "digest": "d", "path": "content/../../etc/passwd", "bytes": 1}',
        b'{"uri": "u", "digest": "d", "path": "/etc/passwd", "bytes": 1}',
        b'{"uri": "u", "digest": "d", "path": "content/", "bytes": 1}',
        b'{"uri": "u", "digest": "d", "path": "content", "bytes": 1}',
    ],
)
def test_a_broken_manifest_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    assert store.Store(tmp_path).complete(URI, None) is None
    with pytest.raises(errors.StartFailure, match="fetch has not run") as caught:
        store.Store(tmp_path).open()
    assert caught.value.reason is errors.Reason.SETTINGS_INVALID


def test_a_directory_that_is_a_file_is_a_setting_to_correct(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(errors.StartFailure, match="MODELYARD_ARTIFACT_DIR") as caught:
        store.Store(tmp_path / "taken").prepare("m.pkl")
    assert caught.value.reason is errors.Reason.SETTINGS_INVALID
