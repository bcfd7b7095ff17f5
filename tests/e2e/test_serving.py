"""A model from S3 is served by real pods through its Service, in both protocols, and the status says so."""

import json
from pathlib import Path
from typing import Any

import pytest

from demo import kubectl as kubectl_module
from demo import predictions, service, storage
from examples import train
from tests.support import modeldeployments


@pytest.fixture(scope="module")
def served(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, train.TrainedModel]:
    """Both example models, trained, published, applied and Ready."""
    folder = tmp_path_factory.mktemp("models")
    models = {model.name: model for model in (train.train_line(folder), train.train_forest(folder))}
    storage.publish(kubectl, namespace, {f"{m.name}/{m.path.name}": m.path for m in models.values()})
    for model in models.values():
        kubectl.apply(Path(f"examples/{model.name}.yaml").read_text(), f"--namespace={namespace}")
    kubectl.run(
        "wait", "--for=condition=Ready", "mdep/line", "mdep/forest", f"--namespace={namespace}", "--timeout=180s",
        timeout_seconds=200,
    )  # fmt: skip
    return models


def test_predictions_through_the_service_are_scikit_learns_own(
    kubectl: kubectl_module.Kubectl, namespace: str, served: dict[str, train.TrainedModel]
) -> None:
    for name, model in served.items():
        answer = service.post_through_api_server(kubectl, namespace, name, "/predict", {"X": model.rows})
        assert predictions.differences(answer["y_pred"], predictions.expected(model)) == []


def test_open_inference_protocol_gives_the_same_answers(
    kubectl: kubectl_module.Kubectl, namespace: str, served: dict[str, train.TrainedModel]
) -> None:
    model = served["forest"]
    tensor = {
        "name": "X",
        "shape": [len(model.rows), 30],
        "datatype": "FP64",
        "data": [value for row in model.rows for value in row],
    }
    body = {"id": "one", "inputs": [tensor]}
    answer = service.post_through_api_server(kubectl, namespace, "forest", "/v2/models/forest/infer", body)
    assert answer["id"] == "one"
    assert predictions.differences(answer["outputs"][0]["data"], predictions.expected(model)) == []


def test_a_flat_list_is_one_feature_per_row_for_a_model_with_one_feature(
    kubectl: kubectl_module.Kubectl, namespace: str, served: dict[str, train.TrainedModel]
) -> None:
    answer = service.post_through_api_server(
        kubectl, namespace, served["line"].name, "/predict", {"X": [1, 2, 10]}
    )
    assert answer["y_pred"] == pytest.approx([3, 5, 21])


def test_the_status_url_answers_inside_the_cluster(
    kubectl: kubectl_module.Kubectl, namespace: str, served: dict[str, train.TrainedModel]
) -> None:
    """Cluster DNS, cluster IP and kube-proxy, from the pod of another model: the URL a client would be given."""
    url = modeldeployments.status(kubectl, namespace, served["line"].name)["url"]
    program = (
        "import json, urllib.request as u; "
        f"r = u.Request({url + '/predict'!r}, json.dumps({{'X': [4]}}).encode(), "
        "{'Content-Type': 'application/json'}); "
        "print(u.urlopen(r, timeout=10).read().decode())"
    )
    said = modeldeployments.run_in_pod(kubectl, namespace, "forest", program)
    assert json.loads(said)["y_pred"] == pytest.approx([9.0])


def test_a_node_port_answers_from_outside(
    kubectl: kubectl_module.Kubectl, namespace: str, served: dict[str, train.TrainedModel], http: Any
) -> None:
    model = served["forest"]
    address = service.node_address(kubectl, namespace, "forest")
    assert address is not None
    answer = http.post(f"{address.url}/predict", json={"X": model.rows})
    assert answer.status_code == 200
    assert predictions.differences(answer.json()["y_pred"], predictions.expected(model)) == []


def test_status_and_printed_columns_tell_the_truth(
    kubectl: kubectl_module.Kubectl, namespace: str, served: dict[str, train.TrainedModel]
) -> None:
    body = kubectl.get("mdep", "forest", f"--namespace={namespace}")
    status = body["status"]
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert conditions == {
        "Available": "True",
        "Ready": "True",
    }  # Reconciling and Stalled are there only while true
    assert status["observedGeneration"] == body["metadata"]["generation"]
    assert (status["replicas"], status["readyReplicas"], status["updatedReplicas"]) == (2, 2, 2)
    assert status["stable"]["ready"] == 2
    assert "candidate" not in status
    header, row = kubectl.run("get", "mdep", "forest", f"--namespace={namespace}").strip().splitlines()
    assert header.split() == ["NAME", "READY", "AVAILABLE", "FORMAT", "DIGEST", "URL", "AGE", "REASON"]
    assert row.split()[:4] == ["forest", "True", "2/2", "sklearn"]
    assert served["forest"].digest.startswith("sha256:")


def test_nothing_is_written_on_the_users_object(
    kubectl: kubectl_module.Kubectl, namespace: str, served: dict[str, train.TrainedModel]
) -> None:
    for name in served:
        metadata = kubectl.get("mdep", name, f"--namespace={namespace}")["metadata"]
        assert "finalizers" not in metadata
        assert "annotations" not in metadata


def test_pods_hold_no_credentials_and_no_token_while_serving(
    kubectl: kubectl_module.Kubectl, namespace: str, served: dict[str, train.TrainedModel]
) -> None:
    program = (
        "import os; assert not [k for k in os.environ if 'CREDENTIALS' in k or 'SECRET' in k]; "
        "assert not os.path.exists('/var/run/secrets/kubernetes.io'); "
        "assert os.getuid() == 10001\n"
        "for path in ('/opt/x', '/mnt/artifact/x', '/x'):\n"
        "  try: open(path, 'w')\n"
        "  except OSError: continue\n"
        "  raise SystemExit(path + ' is writable')\n"
        "print('sealed')"
    )
    for name in served:
        said = modeldeployments.run_in_pod(kubectl, namespace, name, program)
        assert said.strip() == "sealed"


def test_explain_reads_well(kubectl: kubectl_module.Kubectl) -> None:
    said = kubectl.run("explain", "modeldeployment.spec.model.uri")
    assert "s3://" in said
    assert "DESCRIPTION" in said
