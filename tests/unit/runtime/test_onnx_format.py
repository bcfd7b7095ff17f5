"""ONNX models answer as ONNX Runtime does, under the file's names and shapes, and never read beside their folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common import data_types
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import onnx as onnx_format
from modelyard_runtime.formats import onnx_header

GENERATOR = np.random.default_rng(3)
X = GENERATOR.normal(size=(60, 4)).astype(np.float32)
Y = np.arange(60) % 3
FLOAT = TensorProto.FLOAT


def _written(proto: Any, folder: Path) -> Path:
    (folder / "model.onnx").write_bytes(proto.SerializeToString())
    return folder


def _program(
    nodes: Sequence[Any],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    weights: Sequence[Any] = (),
) -> Any:
    """A file of the graph; sizes are numbers, or names where they vary."""
    given, taken = (
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in one.items()]
        for one in (inputs, outputs)
    )
    graph = helper.make_graph(list(nodes), "g", given, taken, list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _answers(model: onnx_format.OnnxModel, **inputs: Any) -> models.Tensors:
    return model.predict(inputs, model.signature.default_outputs, models.NO_PARAMETERS)


@pytest.mark.parametrize("labels", [Y, np.array(["a", "b", "c"])[Y]], ids=["numbers", "text"])
def test_a_classifier_of_skl2onnx_gives_labels_and_a_table_of_probabilities(
    labels: Any, tmp_path: Path
) -> None:
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, labels)
    proto = skl2onnx.to_onnx(estimator, X[:1])
    model = onnx_format.load(_written(proto, tmp_path))
    assert model.signature.inputs == (models.TensorSpec("X", "FP32", (-1, 4)),)
    assert model.signature.outputs[1] == models.TensorSpec("output_probability", "FP32", (-1, -1))
    assert model.signature.classes == tuple(estimator.classes_.tolist())
    assert model.signature.is_row_wise
    answer = _answers(model, X=X)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    label, mappings = session.run(None, {"X": X})
    assert answer["output_label"].tolist() == label.tolist() == estimator.predict(X).tolist()
    assert answer["output_probability"].tolist() == [list(mapping.values()) for mapping in mappings]
    assert np.allclose(answer["output_probability"], estimator.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("unknown", ["error", "ignore"])
def test_a_pipeline_on_columns_takes_text(unknown: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": X[:, 0], "city": np.array(["Oslo", "Rome", "Bern"])[Y]})
    columns = ColumnTransformer(
        [("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(handle_unknown=unknown), ["city"])]
    )
    estimator = make_pipeline(columns, LogisticRegression()).fit(frame, Y)
    types = [("age", data_types.FloatTensorType([None, 1])), ("city", data_types.StringTensorType([None, 1]))]
    model = onnx_format.load(_written(skl2onnx.to_onnx(estimator, initial_types=types), tmp_path))
    assert [one.datatype for one in model.signature.inputs] == ["FP32", "BYTES"]
    # No city can be made up for a pipeline that refuses unknown ones: whether rows may share a call stays open.
    assert model.signature.is_row_wise is (unknown == "ignore")
    answer = _answers(model, age=X[:, :1], city=frame[["city"]].to_numpy(dtype=object))
    assert answer["output_label"].tolist() == estimator.predict(frame).tolist()


def test_a_session_of_a_recurrent_network_travels_in_its_state(tmp_path: Path) -> None:
    w, u = (numpy_helper.from_array(GENERATOR.normal(size=shape).astype(np.float32), name)
            for name, shape in (("w", (4, 2)), ("u", (2, 2))))  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("MatMul", ["h", "u"], ["hu"]),
        helper.make_node("Add", ["xw", "hu"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["h_out"]),
        helper.make_node("ReduceSum", ["h_out"], ["y"], keepdims=0),
    ]
    program = _program(nodes, {"x": [1, 4], "h": [1, 2]}, {"y": [], "h_out": [1, 2]}, [w, u])
    model = onnx_format.load(_written(program, tmp_path))
    assert not model.signature.is_row_wise  # its batch size is fixed
    weights, recurrent = numpy_helper.to_array(w), numpy_helper.to_array(u)
    state = expected = np.zeros((1, 2), np.float32)
    for step in range(5):
        answer = _answers(model, x=X[step : step + 1], h=state)
        expected = np.tanh(X[step : step + 1] @ weights + expected @ recurrent)
        state = answer["h_out"]
        assert np.allclose(state, expected, atol=1e-6)
        assert answer["y"].shape == ()
    with pytest.raises(errors.InvalidInput, match=r"'h' is missing.*h \(FP32"):
        _answers(model, x=X[:1])


def test_rows_share_a_call_only_when_that_is_seen_to_change_nothing(tmp_path: Path) -> None:
    shape = {"x": ["n", 3]}, {"y": ["n", 3]}
    centred = [
        helper.make_node("ReduceMean", ["x"], ["m"], keepdims=0),
        helper.make_node("Sub", ["x", "m"], ["y"]),
    ]
    cases = {True: [helper.make_node("Neg", ["x"], ["y"])], False: centred}
    for is_row_wise, nodes in cases.items():
        model = onnx_format.load(_written(_program(nodes, *shape), tmp_path))
        assert model.signature.is_row_wise is is_row_wise


def test_what_the_program_cannot_take_is_the_callers_fault(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    program = _program(nodes, {"a": ["n", 3], "b": ["m", 3]}, {"y": ["k", 3]})
    model = onnx_format.load(_written(program, tmp_path))
    row = np.ones((1, 3), np.float32)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"a": row, "b": np.ones((1, 4), np.float32)}, r"'b' has the shape \[1, 4\]"),
        ({"a": row, "b": np.array([["1", "2", "3"]], dtype=object)}, "'b' is BYTES"),
        ({"a": row, "b": row, "c": row}, "no input 'c'"),
        ({"a": np.ones((2, 3), np.float32), "b": np.ones((5, 3), np.float32)}, "can't take this input"),
    ]
    for inputs, words in cases:
        with pytest.raises(errors.InvalidInput, match=words):
            _answers(model, **inputs)
    assert _answers(model, a=row.astype(np.float64), b=row)["y"].tolist() == [[2.0, 2.0, 2.0]]


def _with_external_data(location: str) -> Any:
    weight = TensorProto(name="w", data_type=FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return _program([node], {"x": ["n", 2]}, {"y": ["n", 2]}, [weight])


def test_external_data_is_read_from_the_artifacts_own_folder(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.array([1, 2], np.float32).tobytes())
    model = onnx_format.load(_written(_with_external_data("w.bin"), tmp_path))
    assert _answers(model, x=np.zeros((1, 2), np.float32))["y"].tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("way", ["../secret.bin", "absolute", "link.bin"])
def test_external_data_is_read_from_nowhere_else(way: str, tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret.bin", tmp_path / "artifact"
    folder.mkdir()
    secret.write_bytes(np.array([1, 2], np.float32).tobytes())
    (folder / "link.bin").symlink_to(secret)
    location = str(secret) if way == "absolute" else way
    with pytest.raises(errors.StartFailure, match="external data") as caught:
        onnx_format.load(_written(_with_external_data(location), folder))
    assert caught.value.reason is errors.Reason.LOAD_FAILED
    assert str(tmp_path) not in caught.value.message


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    whole = _program([helper.make_node("Neg", ["x"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 3]})
    future = _program([helper.make_node("Neg", ["x"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 3]})
    future.opset_import[0].version = 999
    cases = {
        b"<html>": "is an HTML page",
        whole.SerializeToString()[:-30]: "cut off",
        future.SerializeToString(): "ai.onnx 999",
    }
    for content, words in cases.items():
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(errors.StartFailure, match=words) as caught:
            onnx_format.load(tmp_path)
        assert caught.value.reason is errors.Reason.LOAD_FAILED


def test_who_wrote_the_file_is_told(tmp_path: Path) -> None:
    proto = skl2onnx.to_onnx(LogisticRegression().fit(X, Y), X[:1])
    model = onnx_format.load(_written(proto, tmp_path))
    assert model.versions["onnxruntime"] == onnxruntime.__version__
    assert model.versions["producer"] == f"skl2onnx {skl2onnx.__version__}"
    domains = {
        opset.domain or "ai.onnx": opset.version for opset in onnx.load(tmp_path / "model.onnx").opset_import
    }
    assert model.versions["opset"] == ", ".join(
        f"{name} {version}" for name, version in sorted(domains.items())
    )


def test_threads_are_those_of_the_limit_and_do_not_spin(tmp_path: Path) -> None:
    _written(skl2onnx.to_onnx(LogisticRegression().fit(X, Y), X[:1]), tmp_path)
    used = onnx_format.load(tmp_path, models.LoadOptions(threads=3))._session.get_session_options()
    assert (used.intra_op_num_threads, used.inter_op_num_threads) == (3, 1)
    assert used.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    "content", [b"", b"\x08", b"\x08\x0a\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xff" * 40]
)
def test_a_damaged_header_is_read_as_far_as_it_goes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(content)
    assert onnx_header.read(tmp_path / "m").opsets == ()
