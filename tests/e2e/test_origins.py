"""Models that `fetch` brings from servers beside the cluster: each kind of URI served, and a slow one told of."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy
import pytest
import sklearn.neighbors

from demo import kubectl as kubectl_module
from demo import predictions, service
from examples import train
from tests.e2e import origins
from tests.integration.runtime import fileserver
from tests.support import modeldeployments, waiting

# Large enough to be on the way for a minute at that rate, which is what `fetch` takes for a server that has stopped.
_SLOW_ROWS, _SLOW_BYTES_PER_SECOND = 60_000, 64 * 1024


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> train.TrainedModel:
    """The line model."""
    return train.train_line(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def address(kubectl: kubectl_module.Kubectl) -> str:
    """Where pods reach this machine."""
    return origins.address_for_pods(kubectl)


@pytest.fixture(scope="module")
def deployed(
    kubectl: kubectl_module.Kubectl,
    namespace: str,
    address: str,
    model: train.TrainedModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, origins.Origin]]:
    """The servers, with one ModelDeployment for each kind of URI, called `from-SCHEME`."""
    with origins.running(address, tmp_path_factory.mktemp("servers"), model) as found:
        for scheme, origin in found.items():
            kubectl.apply(origin.manifest(f"models-{scheme}"), f"--namespace={namespace}")
            _apply(kubectl, namespace, f"from-{scheme}", origin.uri, f"models-{scheme}")
        yield found


def _apply(kubectl: kubectl_module.Kubectl, namespace: str, name: str, uri: str, secret: str) -> None:
    body = modeldeployments.manifest(name, uri, model={"credentials": {"secretName": secret}})
    kubectl.apply(body, f"--namespace={namespace}")


def _ready(kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> None:
    # Six pods start at once on the node's two cores.
    command = ("wait", "--for=condition=Ready", f"mdep/{name}", f"--namespace={namespace}", "--timeout=300s")
    kubectl.run(*command, timeout_seconds=310)


@pytest.mark.parametrize("scheme", ["gs", "az", "mlflow", "runs", "oci", "hf"])
def test_a_model_of_a_server_is_served_with_its_digest_in_the_status(
    kubectl: kubectl_module.Kubectl,
    namespace: str,
    deployed: dict[str, origins.Origin],
    model: train.TrainedModel,
    scheme: str,
) -> None:
    name = f"from-{scheme}"
    _ready(kubectl, namespace, name)
    answer = service.post_through_api_server(kubectl, namespace, name, "/predict", {"X": model.rows})
    assert predictions.differences(answer["y_pred"], predictions.expected(model)) == []
    status = modeldeployments.status(kubectl, namespace, name)
    assert (status["stable"]["uri"], status["stable"]["digest"]) == (
        deployed[scheme].uri,
        deployed[scheme].digest,
    )


@pytest.fixture
def slow(tmp_path: Path, address: str) -> Iterator[tuple[str, train.TrainedModel, threading.Event]]:
    """The URL of a server with a bounded rate, the large model that it sends, and what lifts the bound."""
    x = numpy.arange(_SLOW_ROWS * 8, dtype=float).reshape(-1, 8)
    estimator = sklearn.neighbors.KNeighborsRegressor(1, algorithm="brute").fit(x, x[:, 0])
    path = tmp_path / "model.joblib"
    joblib.dump(estimator, path)
    model = train.TrainedModel("slow", estimator, path, "", [x[7].tolist(), x[-1].tolist()])
    is_over = threading.Event()
    server = fileserver.FileServer(address)
    server.routes["/model.joblib"] = fileserver.answer_slowly(
        path.read_bytes(), _SLOW_BYTES_PER_SECOND, is_over
    )
    with server.running():
        yield f"{server.url}/model.joblib", model, is_over
        is_over.set()


def test_reconciling_says_which_pod_has_been_fetching_for_how_long_and_its_log_how_far_it_is(
    kubectl: kubectl_module.Kubectl,
    namespace: str,
    slow: tuple[str, train.TrainedModel, threading.Event],
) -> None:
    uri, model, is_over = slow
    kubectl.apply(origins.secret("models-slow", {"HTTP_BEARER_TOKEN": "canary"}), f"--namespace={namespace}")
    _apply(kubectl, namespace, "slow", uri, "models-slow")

    def message(*words: str) -> str | None:
        condition = modeldeployments.condition(kubectl, namespace, "slow", "Reconciling")
        said: str = condition["message"] if condition else ""
        return said if all(word in said for word in words) else None

    began = waiting.eventually(lambda: message("has been fetching the artifact"), "fetching is told", 60)
    (pod,) = modeldeployments.pods(kubectl, namespace, "slow")
    assert f"{pod['metadata']['name']} has been fetching the artifact since " in began
    later = waiting.eventually(
        lambda: message("has been fetching the artifact for more than"), "its duration is told", 60
    )
    since = began.partition(" since ")[2].partition(" UTC")[0]
    assert f"{pod['metadata']['name']} has been fetching the artifact for more than" in later
    assert f"(since {since} UTC)" in later

    lines = waiting.eventually(lambda: _progress(kubectl, namespace, pod)[1:], "two lines of progress", 30)
    size = model.path.stat().st_size
    for line in lines:
        assert (line["uri"], line["total_bytes"]) == (uri, size), line
        # What is left of it at the rate until now; both are rounded.
        rate = line["bytes"] / line["seconds"]
        assert line["remaining_seconds"] == pytest.approx((size - line["bytes"]) / rate, abs=1), line
        assert line["mib_per_second"] == pytest.approx(rate / 1024**2, abs=0.06), line
    is_over.set()
    _ready(kubectl, namespace, "slow")
    answer = service.post_through_api_server(kubectl, namespace, "slow", "/predict", {"X": model.rows})
    assert predictions.differences(answer["y_pred"], predictions.expected(model)) == []
    assert modeldeployments.condition(kubectl, namespace, "slow", "Reconciling") is None


def _progress(kubectl: kubectl_module.Kubectl, namespace: str, pod: dict[str, Any]) -> list[dict[str, Any]]:
    log = kubectl.run("logs", pod["metadata"]["name"], f"--namespace={namespace}", "--container=fetch")
    return [line for line in map(json.loads, log.splitlines()) if line["message"] == "fetching"]
