"""The first predictions measure the model and complete what it says about itself, and it can't fail them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from modelyard_runtime import errors, scheduling, warmup
from modelyard_runtime.formats import interface, tensor_model
from modelyard_runtime.formats import model as models
from tests.unit.runtime import builders


def test_warm_up_measures_and_learns_the_output() -> None:
    model = builders.FakeModel(builders.numbers(3), lambda table: np.zeros((len(table), 2), dtype=np.float32))
    cost = warmup.warm_up(model)
    assert cost.is_inline(1)
    assert model.signature.outputs == (models.TensorSpec("predict", "FP32", (-1, 2)),)
    assert {(1, 3), (64, 3)} <= {table.shape for table in model.seen}


def test_warm_up_is_no_test_the_model_can_fail() -> None:
    def refuse(table: models.Table) -> Any:
        raise errors.InvalidInput("not zeros")

    assert warmup.warm_up(builders.FakeModel(builders.numbers(3), refuse)) is scheduling.UNKNOWN
    assert warmup.warm_up(builders.FakeModel(models.Signature(features=None))) is scheduling.UNKNOWN


@pytest.mark.parametrize("signature", [builders.PEOPLE, builders.DOCUMENTS], ids=["columns", "documents"])
def test_text_is_made_up_too(signature: models.Signature) -> None:
    model = builders.FakeModel(signature, lambda table: np.full(len(table), "yes", dtype=object))
    assert warmup.warm_up(model) is not scheduling.UNKNOWN
    assert model.signature.outputs[0].datatype == "BYTES"
    expected = [""] if signature.takes_documents else [[0.0, ""]]
    assert model.seen[0].tolist() == expected


@pytest.mark.parametrize("was_known", [True, False])
def test_whether_rows_share_a_call_is_tried(was_known: bool) -> None:
    centred = builders.FakeModel(builders.numbers(3), lambda table: table - table.mean(axis=0))
    summed = builders.FakeModel(builders.numbers(3))
    shortened = builders.FakeModel(builders.numbers(3), lambda table: table.sum(axis=1)[:1])
    for model, expected in ((centred, False), (summed, True), (shortened, False)):
        model.signature = models.Signature(features=model.signature.features, is_row_wise=was_known)
        warmup.warm_up(model)
        assert model.signature.is_row_wise is expected


def test_an_output_that_fails_on_request_is_not_offered() -> None:
    class Model(builders.FakeModel):
        def predict(
            self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
        ) -> models.Tensors:
            if "decision_function" in wanted:
                raise errors.ModelFailed("not this time")
            return super().predict(inputs, wanted, parameters)

    extra = ("predict_proba", "decision_function")
    outputs = tuple(models.TensorSpec(name, "FP64", (-1,)) for name in ("predict", *extra))
    features = builders.numbers(2).features
    model = Model(models.Signature(features=features, outputs=outputs, on_request=frozenset(extra)))
    warmup.warm_up(model)
    assert [output.name for output in model.signature.outputs] == ["predict", "predict_proba"]
    assert model.signature.on_request == {"predict_proba"}


class Step(tensor_model.TensorModel):
    """One step of a recurrent network of a fixed batch size, and a sum of unknown shape."""

    def _compute(self, inputs: models.Tensors) -> Mapping[str, Any]:
        return {"h_out": np.tanh(inputs["x"] + inputs["h"]), "sum": inputs["x"].sum(axis=1)}


def test_named_tensors_are_made_up_by_their_shapes() -> None:
    inputs = (models.TensorSpec("x", "FP32", (1, 2)), models.TensorSpec("h", "FP32", (1, 2)))
    outputs = (models.TensorSpec("h_out", "FP32", (1, 2)), models.TensorSpec("sum", "FP64", ()))
    signature = models.Signature(inputs=inputs, outputs=outputs, is_row_wise=False)
    model = Step(signature, interface.EMPTY, {})
    cost = warmup.warm_up(model)
    assert cost.is_inline(1)
    assert model.signature.outputs == (outputs[0], models.TensorSpec("sum", "FP32", (-1,)))
    made = warmup.made_up(signature, 5)
    assert made is not None
    assert made["x"].tolist() == [[0.0, 0.0]]
