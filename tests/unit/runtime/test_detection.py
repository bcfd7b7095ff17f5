"""The first bytes of a file say what it is, or what it looks like instead."""

import io
import pickle
import zipfile
from pathlib import Path

import joblib
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import detection


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_known(protocol: int) -> None:
    assert detection.infer_format(pickle.dumps([1], protocol=protocol)) == "sklearn"


@pytest.mark.parametrize("compress", [0, 3, ("zlib", 1), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_a_joblib_dump_is_known_however_compressed(compress: object, tmp_path: Path) -> None:
    joblib.dump(list(range(100)), tmp_path / "m", compress=compress)
    assert detection.infer_format(detection.read_head(tmp_path / "m")) == "sklearn"


def _archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model", "x")
    return buffer.getvalue()


LOOKS = {
    b"": "empty",
    b"<!DOCTYPE html><html>": "an HTML page",
    b"\n <HTML lang=en>": "an HTML page",
    b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>": "an XML document",
    b'{"learned": {}}': "a JSON file",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:1": "a Git LFS pointer",
    b"#!/bin/sh\nrm -rf /": "a script",
    b"a,b,c\n1,2,3\n": "a text file",
    b"\x7fELF\x02": "a program",
    b"\x00\x01\x02\x03": "a file of an unknown kind",
    b"\x80": "a file of an unknown kind",
    b"\x80\x06": "a file of an unknown kind",
    _archive(): "a ZIP archive",
}


@pytest.mark.parametrize("head", LOOKS)
def test_what_is_no_model_is_described(head: bytes) -> None:
    assert detection.infer_format(head) is None
    assert detection.describe(head).startswith(LOOKS[head])


def test_a_file_with_a_models_name_is_left_to_the_loader(tmp_path: Path) -> None:
    (tmp_path / "m.PKL").write_text("<html>")
    assert detection.require_known(tmp_path / "m.PKL", None) == "sklearn"


def test_a_format_the_user_asked_for_is_believed(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("<html>")
    assert detection.require_known(tmp_path / "m", "sklearn") == "sklearn"


FOLDERS = {
    ("model.joblib", "other.pkl"): "model.joblib",
    ("model.pkl", "notes.txt"): "model.pkl",
    ("deep/only.bin",): "deep/only.bin",
    ("a.pkl", "b.pkl"): None,
}


@pytest.mark.parametrize("names", FOLDERS)
def test_the_file_of_a_folder_is_chosen(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    if (expected := FOLDERS[names]) is not None:
        assert detection.find_model_file(tmp_path) == tmp_path / expected
        return
    with pytest.raises(errors.StartFailure, match="2 files") as caught:
        detection.find_model_file(tmp_path)
    assert caught.value.reason is errors.Reason.FORMAT_UNKNOWN
