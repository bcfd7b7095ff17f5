"""What a tracking server's answers mean, where the real server of the integration tests can't be brought to them."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import mlflow_answers, mlflow_registry

Answers = dict[str, dict[str, Any] | None]


class Registry:
    """Answers from a table, by the path; remembers the parameters."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.asked: list[tuple[str, dict[str, str]]] = []

    def ask(
        self, path: str, parameters: Mapping[str, str], kind: type[mlflow_answers.Answer]
    ) -> mlflow_answers.Answer | None:
        """Gives the answer."""
        self.asked.append((path.removeprefix("mlflow/"), dict(parameters)))
        answer = self._answers.get(path.removeprefix("mlflow/"))
        return None if answer is None else msgspec.convert(answer, kind)


MODEL: Answers = {
    "registered-models/get": {"registered_model": {"name": "i'ris", "aliases": [{"alias": "best", "version": 3}]}},
    "model-versions/get": {"model_version": {"version": "3", "status": "READY", "source": "s3://b/x"}},
    "model-versions/search": {"model_versions": [{"version": "7"}]},
    "model-versions/get-download-uri": {"artifact_uri": "s3://b/k"},
}  # fmt: skip


@pytest.mark.parametrize(("wanted", "version"), [("3", "3"), ("best", "3"), ("latest", "7")])
def test_a_version_an_alias_and_the_latest_version_are_understood(wanted: str, version: str) -> None:
    registry = Registry(MODEL)
    found = mlflow_registry.find(uris.parse(f"mlflow://models/i'ris/{wanted}"), registry.ask)
    assert found == ("s3://b/k",)
    assert ("model-versions/get", {"name": "i'ris", "version": version}) in registry.asked


def test_an_alias_named_latest_comes_before_the_latest_version() -> None:
    named: Answers = {
        "registered-models/get": {
            "registered_model": {"name": "m", "aliases": [{"alias": "latest", "version": "1"}]}
        }
    }
    registry = Registry({**MODEL, **named})
    mlflow_registry.find(uris.parse("mlflow://models/m/latest"), registry.ask)
    assert ("model-versions/get", {"name": "m", "version": "1"}) in registry.asked


def test_a_name_with_a_quote_or_a_percent_sign_is_asked_for_as_it_is() -> None:
    registry = Registry({**MODEL, "model-versions/get": None})
    with pytest.raises(errors.StartFailure, match="version 7"):
        mlflow_registry.find(uris.parse("mlflow://models/i'ris%20%25/3"), registry.ask)
    assert registry.asked[0] == ("registered-models/get", {"name": "i'ris %"})
    assert registry.asked[-1][1]["filter"] == 'name="i\'ris %"'


def test_a_version_that_is_not_ready_is_not_served() -> None:
    pending: Answers = {
        "model-versions/get": {"model_version": {"version": "3", "status": "PENDING_REGISTRATION"}}
    }
    with pytest.raises(errors.StartFailure, match="PENDING_REGISTRATION") as refused:
        mlflow_registry.find(uris.parse("mlflow://models/iris/3"), Registry({**MODEL, **pending}).ask)
    assert refused.value.reason is errors.Reason.ARTIFACT_NOT_FOUND


def test_an_older_server_without_a_download_address_gives_the_source() -> None:
    older: Answers = {"model-versions/get-download-uri": None}
    found = mlflow_registry.find(uris.parse("mlflow://models/iris/3"), Registry({**MODEL, **older}).ask)
    assert found == ("s3://b/x",)


def test_a_runs_model_of_that_name_comes_first_and_the_later_one_before_the_earlier() -> None:
    run = {
        "info": {"artifact_uri": "s3://b/run/"},
        "outputs": {"model_outputs": [{"model_id": each} for each in ("m-1", "m-2", "m-3", "m-4")]},
    }
    answers: Answers = {
        "runs/get": {"run": run},
        "logged-models/m-1": {"model": {"info": {"name": "model", "artifact_uri": "s3://b/1"}}},
        "logged-models/m-2": {"model": {"info": {"name": "other", "artifact_uri": "s3://b/2"}}},
        "logged-models/m-3": {"model": {"info": {"name": "model", "artifact_uri": "s3://b/3/"}}},
        "logged-models/m-4": None,
    }
    found = mlflow_registry.find(uris.parse("runs:/r/model/data"), Registry(answers).ask)
    assert found == ("s3://b/3/data", "s3://b/1/data", "s3://b/run/model/data")


def test_a_run_of_an_older_server_has_no_outputs() -> None:
    answers: Answers = {"runs/get": {"run": {"info": {"artifact_uri": "s3://b/run"}}}}
    assert mlflow_registry.find(uris.parse("runs:/r/model"), Registry(answers).ask) == ("s3://b/run/model",)
