"""`catalogue.choose`: which runtime class serves a model, and what an author is told when none does."""

from typing import Any

import msgspec
import pytest

from modelyard_operator import api, catalogue, config, errors, revisions, rollout, updates
from modelyard_operator.observed import Observed

SETTINGS = config.OperatorConfig(
    runtime_classes={
        "default": config.RuntimeClass(image="small", formats=("sklearn", "mlflow")),
        "keras": config.RuntimeClass(image="keras-a", formats=("keras", "mlflow")),
        "keras-gpu": config.RuntimeClass(image="keras-b", formats=("keras",)),
        "old": config.RuntimeClass(image="old"),
    }
)


def model_deployment(model_format: str | None = None, **runtime: Any) -> api.ModelDeployment:
    model = {"uri": "s3://b/k"} | ({"format": model_format} if model_format else {})
    metadata = {"namespace": "default", "name": "iris", "uid": "u", "generation": 1}
    return api.parse({"metadata": metadata, "spec": {"model": model, "runtime": runtime}})


@pytest.mark.parametrize(
    ("asked", "image"),
    [
        (model_deployment(), "small"),
        (model_deployment("sklearn"), "small"),
        (model_deployment("mlflow"), "small"),
        (model_deployment("keras"), "keras-a"),
        (model_deployment("keras", **{"class": "default"}), "keras-a"),
        (model_deployment("keras", **{"class": "keras-gpu"}), "keras-b"),
        (model_deployment("torch", **{"class": "old"}), "old"),
        (model_deployment(None, **{"class": "keras"}), "keras-a"),
    ],
)
def test_the_named_class_serves_else_the_default_one_else_the_first_that_offers_the_format(
    asked: api.ModelDeployment, image: str
) -> None:
    assert catalogue.choose(asked, SETTINGS).image == image


@pytest.mark.parametrize(
    ("asked", "reason", "words"),
    [
        (model_deployment("torch"), "FormatNotOffered", "no runtime class offers it"),
        (model_deployment("torch"), "FormatNotOffered", "Ask the administrator"),
        (model_deployment("sklearn", **{"class": "keras"}), "FormatNotOffered", "Set spec.runtime.class to default"),
        (model_deployment("torch"), "FormatNotOffered", "keras: keras, mlflow; keras-gpu: keras; old: any"),
        (model_deployment(None, **{"class": "gpu"}), "RuntimeClassUnknown", "default, keras, keras-gpu, old"),
    ],
)  # fmt: skip
def test_who_asks_for_what_is_not_offered_is_told_what_is(
    asked: api.ModelDeployment, reason: str, words: str
) -> None:
    with pytest.raises(errors.Stalled) as stalled:
        catalogue.choose(asked, SETTINGS)
    assert stalled.value.reason == reason
    assert words in str(stalled.value)
    assert catalogue.find(asked, SETTINGS) is None


def test_another_catalogue_is_no_other_revision() -> None:
    # The name is made of the author's intent; which image it leads to is in the stored template only.
    asked = model_deployment("keras")
    assert revisions.name(asked) == revisions.name(model_deployment("keras", **{"class": "default"}))
    assert "keras-a" not in str(revisions.intent(asked))


def test_a_newer_image_is_that_of_the_class_which_the_format_chooses() -> None:
    asked = model_deployment("keras")
    template = {"spec": {"containers": [{"name": "serve", "image": "keras-a"}]}}
    data = {"intent": revisions.intent(asked), "template": template}
    seen = Observed(revisions=({"metadata": {"name": "iris-1"}, "revision": 1, "data": data},))
    assert updates.judge(asked, rollout.Target("iris-1"), seen, SETTINGS).newer == ""
    newer = {**SETTINGS.runtime_classes, "keras": config.RuntimeClass(image="keras-c", formats=("keras",))}
    offering = msgspec.structs.replace(SETTINGS, runtime_classes=newer)
    assert updates.judge(asked, rollout.Target("iris-1"), seen, offering).newer == "keras-c"
