"""A model that can't be served is told in the status within seconds, with the remedy, and hurts nothing that serves."""

import time
from collections.abc import Callable
from typing import Any

import joblib
import pytest

from demo import kubectl as kubectl_module
from demo import service, storage
from examples import train
from tests.support import modeldeployments, waiting

# From the moment the pod's container has ended (the kubelet's own time) to the status of the resource.
TOLD_WITHIN_SECONDS = 10


@pytest.fixture(scope="module")
def published(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> train.TrainedModel:
    """The line model, and beside it files that are no model."""
    folder = tmp_path_factory.mktemp("models")
    line = train.train_line(folder)
    (folder / "page.pkl").write_text("<!doctype html><title>Sign in</title>")
    joblib.dump({"not": "an estimator"}, folder / "dict.pkl")
    storage.publish(
        kubectl,
        namespace,
        {"line/model.pkl": line.path, "page.pkl": folder / "page.pkl", "dict.pkl": folder / "dict.pkl"},
    )
    kubectl.run(
        "create", "secret", "generic", "wrong-key", f"--namespace={namespace}",
        "--from-literal=AWS_ACCESS_KEY_ID=nobody", "--from-literal=AWS_SECRET_ACCESS_KEY=canary-5f2d",
        "--from-literal=AWS_REGION=us-east-1",
        f"--from-literal=AWS_ENDPOINT_URL=http://s3.{namespace}.svc.cluster.local:{storage.PORT}",
    )  # fmt: skip
    return line


BROKEN: dict[str, tuple[str, dict[str, Any], str, tuple[str, ...]]] = {
    "an object that is not there": (
        "s3://models/line/nothing.pkl",
        {},
        "ArtifactNotFound",
        ("line/nothing.pkl",),
    ),
    "a bucket that is not there": ("s3://nowhere/model.pkl", {}, "ArtifactNotFound", ("nowhere",)),
    "credentials the server refuses": (
        "s3://models/line/model.pkl",
        {"credentials": {"secretName": "wrong-key"}},
        "AccessDenied",
        ("AWS_ACCESS_KEY_ID",),
    ),
    "another digest than the pinned one": (
        "s3://models/line/model.pkl",
        {"digest": "sha256:" + "0" * 64},
        "DigestMismatch",
        ("sha256:" + "0" * 64,),
    ),
    "a web page instead of a model": ("s3://models/page.pkl", {}, "LoadFailed", ("HTML",)),
    "a pickle that holds no estimator": ("s3://models/dict.pkl", {}, "LoadFailed", ("dict",)),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_reason_is_in_the_status_within_seconds(
    kubectl: kubectl_module.Kubectl, namespace: str, published: train.TrainedModel, case: str
) -> None:
    uri, model, reason, words = BROKEN[case]
    name = "broken-" + str(sorted(BROKEN).index(case))
    kubectl.apply(modeldeployments.manifest(name, uri, model=model), f"--namespace={namespace}")
    ended = waiting.eventually(_first_end(kubectl, namespace, name), f"{case}: the container ends", 60)
    stalled = waiting.eventually(
        lambda: modeldeployments.condition(kubectl, namespace, name, "Stalled"), f"{case}: Stalled", 30
    )
    told_after = time.time() - ended
    assert stalled["reason"] == reason, stalled
    for word in words:
        assert word in stalled["message"]
    assert told_after < TOLD_WITHIN_SECONDS
    status = modeldeployments.status(kubectl, namespace, name)
    assert status["candidate"]["failure"]["reason"] == reason
    assert status["candidate"]["failure"]["pod"].startswith(name)
    assert "canary-5f2d" not in str(status)
    assert "Traceback" not in str(status)
    kubectl.run("delete", "mdep", name, f"--namespace={namespace}")


def test_a_missing_secret_is_named(
    kubectl: kubectl_module.Kubectl, namespace: str, published: train.TrainedModel
) -> None:
    model = {"credentials": {"secretName": "no-such-secret"}}
    text = modeldeployments.manifest("secretless", "s3://models/line/model.pkl", model=model)
    kubectl.apply(text, f"--namespace={namespace}")
    stalled = waiting.eventually(
        lambda: modeldeployments.condition(kubectl, namespace, "secretless", "Stalled"), "Stalled", 30
    )
    assert "no-such-secret" in stalled["message"]
    kubectl.run("delete", "mdep", "secretless", f"--namespace={namespace}")


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("an unknown scheme", "gopher://models/x.pkl", ("spec.model.uri", "s3")),
        ("a password in the URI", "https://me:pw@host/x.pkl", ("spec.model.uri", "credentials")),
    ],
)
def test_the_api_server_refuses_what_can_never_work(
    kubectl: kubectl_module.Kubectl, namespace: str, field: str, text: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(kubectl_module.CommandError) as refused:
        kubectl.apply(modeldeployments.manifest("refused", text), f"--namespace={namespace}")
    for word in words:
        assert word in str(refused.value), field


def test_an_update_to_a_broken_model_leaves_the_old_pods_serving(
    kubectl: kubectl_module.Kubectl, namespace: str, published: train.TrainedModel
) -> None:
    good = modeldeployments.manifest("kept", "s3://models/line/model.pkl", model={"digest": published.digest})
    kubectl.apply(good, f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", "mdep/kept", f"--namespace={namespace}", "--timeout=120s")
    kubectl.apply(modeldeployments.manifest("kept", "s3://models/page.pkl"), f"--namespace={namespace}")
    waiting.eventually(
        lambda: modeldeployments.condition(kubectl, namespace, "kept", "Stalled"), "Stalled", 60
    )
    status = modeldeployments.status(kubectl, namespace, "kept")
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert conditions["Available"] == "True"
    assert conditions["Ready"] == "False"
    assert status["stable"]["ready"] == 1
    assert status["candidate"]["failure"]["reason"] == "LoadFailed"
    answer = service.post_through_api_server(kubectl, namespace, "kept", "/predict", {"X": [[2.0]]})
    assert answer["y_pred"] == pytest.approx([5.0])
    kubectl.apply(good, f"--namespace={namespace}")
    ready = waiting.eventually(_is_ready(kubectl, namespace, "kept"), "Ready again", 60)
    assert ready
    kubectl.run("delete", "mdep", "kept", f"--namespace={namespace}")


def _first_end(kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> Callable[[], float | None]:
    """Look for the first ended container of the model's pods and give when that was first seen."""

    def look() -> float | None:
        for pod in modeldeployments.pods(kubectl, namespace, name):
            status = pod["status"]
            for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
                states = (
                    container["state"].get("terminated"),
                    container.get("lastState", {}).get("terminated"),
                )
                if any(state and state["exitCode"] != 0 for state in states):
                    return time.time()
        return None

    return look


def _is_ready(kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> Callable[[], bool]:
    def look() -> bool:
        ready = modeldeployments.condition(kubectl, namespace, name, "Ready")
        return ready is not None and ready["status"] == "True"

    return look
