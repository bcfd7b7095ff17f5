"""The first bytes of a file say what it is, or what it looks like instead."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import onnx
import pytest
import skops.io
import xgboost
from sklearn.linear_model import LinearRegression

from modelyard_runtime import errors
from modelyard_runtime.formats import catalog, detection


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


def _onnx() -> bytes:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [onnx.helper.make_empty_tensor_value_info("y")])
    return bytes(onnx.helper.make_model(graph).SerializeToString())


def _boosted(ending: str) -> bytes:
    return bytes(xgboost.train({}, xgboost.DMatrix(np.eye(4), np.arange(4)), 1).save_raw(ending))


def _lightgbm() -> bytes:
    data = lightgbm.Dataset(np.arange(40.0)[:, None], np.arange(40))
    return lightgbm.train({"verbose": -1}, data, 1).model_to_string().encode()


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 50)
    return buffer.getvalue()


REAL: dict[str, tuple[Callable[[], bytes], str]] = {
    "skl2onnx's or anybody's ONNX": (_onnx, "onnx"),
    "XGBoost's UBJSON": (lambda: _boosted("ubj"), "xgboost"),
    "XGBoost's JSON": (lambda: _boosted("json"), "xgboost"),
    "LightGBM's text": (_lightgbm, "lightgbm"),
    "a skops file": (lambda: skops.io.dumps(LinearRegression().fit([[0.0]], [0.0])), "skops"),
    # Of libraries that are not here: their files as far as the first bytes and names go.
    "a CatBoost file": (lambda: b"CBM1\x00\x01", "catboost"),
    "a Keras file": (lambda: _zip("metadata.json", "config.json", "model.weights.h5"), "keras"),
    "an exported program": (lambda: _zip("m/archive_format", "m/models/model.json"), "torch"),
    "a script": (lambda: _zip("m/data.pkl", "m/code/__torch__.py", "m/constants.pkl", "m/version"), "torch"),
    "an archive of many members": (lambda: _zip(*(f"{n}.npy" for n in range(2000)), "schema.json"), "skops"),
}


@pytest.mark.parametrize("case", REAL)
def test_a_format_is_told_from_its_content_whatever_the_name(case: str, tmp_path: Path) -> None:
    content, expected = REAL[case]
    (tmp_path / "artifact").write_bytes(content())
    head, members = detection.read_head(tmp_path / "artifact"), detection.read_members(tmp_path / "artifact")
    assert detection.infer_format(head, members) == expected
    assert detection.describe_file(tmp_path / "artifact") == catalog.FORMATS[expected].title


OTHER_ARCHIVES = {
    ("m/data.pkl", "m/data/0"): "a PyTorch checkpoint",
    ("arr_0.npy",): "an archive of NumPy arrays",
    ("[Content_Types].xml", "xl/workbook.xml"): "an Office document",
    ("readme.txt",): "a ZIP archive",
}


@pytest.mark.parametrize("names", OTHER_ARCHIVES)
def test_an_archive_that_is_no_model_is_described(names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "artifact").write_bytes(_zip(*names))
    assert detection.describe_file(tmp_path / "artifact").startswith(OTHER_ARCHIVES[names])
    with pytest.raises(errors.StartFailure, match="not a model this runtime knows"):
        detection.require_known(tmp_path / "artifact", None)


def test_a_format_of_another_image_is_named_with_what_is_served_here(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"CBM1\x00\x01")
    for asked in (None, "catboost"):
        with pytest.raises(
            errors.StartFailure, match=r"is a CatBoost model.*lacks catboost.*sklearn.*serves catboost"
        ) as caught:
            detection.require_known(tmp_path / "m.bin", asked)
        assert caught.value.reason is errors.Reason.FORMAT_UNKNOWN


@pytest.mark.parametrize(("names", "expected"), [
    (("MLmodel", "model.pkl", "python_env.yaml"), "mlflow"),
    (("model.py", "weights.npy"), "custom"),
    (("iris.onnx", "iris.onnx.data", "signature.json"), "onnx"),
])  # fmt: skip
def test_a_folder_may_be_a_model_as_a_whole(
    names: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What this image lacks is another test's matter.
    monkeypatch.setattr(catalog, "require_served", lambda _: None)
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert detection.require_known(tmp_path, None) == expected


@pytest.mark.parametrize("size", [0, 3, 30, 45])
def test_an_archive_that_was_cut_off_is_still_described(size: int, tmp_path: Path) -> None:
    (tmp_path / "artifact").write_bytes(_zip("readme")[:size])
    assert detection.describe_file(tmp_path / "artifact")
