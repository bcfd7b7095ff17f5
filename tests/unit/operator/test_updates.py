"""`updates.explain`: what a person is told about a newer image; the scenarios tell the rest."""

from typing import Any

import pytest

from modelyard_operator import api, updates
from modelyard_operator.updates import State, Turn, Update


def model_deployment(**spec: Any) -> api.ModelDeployment:
    metadata = {"namespace": "default", "name": "iris", "uid": "u", "generation": 1}
    return api.parse({"metadata": metadata, "spec": {"model": {"uri": "s3://b/k"}, **spec}})


AUTO = {"runtime": {"updatePolicy": "Auto"}}


@pytest.mark.parametrize(
    ("spec", "update", "words"),
    [
        ({}, Update("old", ""), ""),
        ({}, Update("old", "new"), "Set spec.runtime.updatePolicy to Auto"),
        ({}, Update("old", "new", State.IDLE, Turn.HALTED), "Set spec.runtime.updatePolicy to Auto"),
        (AUTO, Update("old", "new", State.DUE), "when it is this model's turn"),
        (AUTO, Update("old", "new", State.DUE, Turn.HALTED), "updates are halted because the update of another"),
        (AUTO, Update("old", "new", State.IDLE), "when the model is ready and not paused"),
    ],
)  # fmt: skip
def test_a_person_is_told_what_becomes_of_a_newer_image(
    spec: dict[str, Any], update: Update, words: str
) -> None:
    told = updates.explain(model_deployment(**spec), update)
    assert words in told
    assert bool(told) == bool(words)
