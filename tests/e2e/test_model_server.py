"""What a spec asks of the model server, through the operator and a real kubelet: engines, samples, tokens and TLS."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo import kubectl as kubectl_module
from demo import predictions, service, storage
from examples import train
from tests.support import modeldeployments, waiting

TOKEN = "alice-0123456789abcdef"


@pytest.fixture(scope="module")
def forest(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> train.TrainedModel:
    """The forest and the line, published."""
    folder = tmp_path_factory.mktemp("models")
    model = train.train_forest(folder)
    storage.publish(
        kubectl,
        namespace,
        {"forest/forest.joblib": model.path, "line/model.pkl": train.train_line(folder).path},
    )
    return model


def _serve(kubectl: kubectl_module.Kubectl, namespace: str, name: str, uri: str, **spec: Any) -> None:
    kubectl.apply(modeldeployments.manifest(name, uri, **spec), f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", f"mdep/{name}", f"--namespace={namespace}", "--timeout=120s")


@pytest.mark.parametrize(("accelerate", "engine"), [("Auto", "treelite"), ("Off", "scikit-learn")])
def test_the_engine_that_serves_is_told_and_answers_as_scikit_learn(
    kubectl: kubectl_module.Kubectl,
    namespace: str,
    forest: train.TrainedModel,
    accelerate: str,
    engine: str,
) -> None:
    name = f"forest-{accelerate.lower()}"
    uri = "s3://models/forest/forest.joblib"
    _serve(kubectl, namespace, name, uri, runtime={"accelerate": accelerate}, service={"type": "NodePort"})
    address = service.node_address(kubectl, namespace, name)
    assert address is not None
    described = httpx.get(f"{address.url}/v2/models/{name}", timeout=30).json()
    assert described["parameters"]["acceleration"]["engine"] == engine
    answer = service.post(kubectl, namespace, name, "/predict", {"X": forest.rows})
    assert answer["y_pred"] == predictions.expected(forest)
    (pod,) = modeldeployments.pods(kubectl, namespace, name)
    # In either case: a model that is not to be accelerated is tried all the same.
    assert [each["name"] for each in pod["spec"]["initContainers"]] == ["fetch", "prepare"]
    kubectl.run("delete", "mdep", name, f"--namespace={namespace}")


def test_a_model_that_answers_a_sample_wrongly_never_takes_traffic(
    kubectl: kubectl_module.Kubectl, namespace: str, forest: train.TrainedModel
) -> None:
    uri = "s3://models/line/model.pkl"
    _serve(kubectl, namespace, "sampled", uri, validation={"samples": [{"inputs": [[2.0]], "expect": [5.0]}]})
    wrong = [{"inputs": [[2.0]], "expect": [5.0]}, {"inputs": {"X": [[3.0]]}, "expect": [8]}]
    kubectl.apply(
        modeldeployments.manifest("sampled", uri, validation={"samples": wrong}), f"--namespace={namespace}"
    )
    stalled = waiting.eventually(
        lambda: modeldeployments.condition(kubectl, namespace, "sampled", "Stalled"), "Stalled", 60
    )
    assert "spec.validation.samples[1]: predict[0]: expected 8, got " in stalled["message"]
    status = modeldeployments.status(kubectl, namespace, "sampled")
    assert status["candidate"]["failure"]["reason"] == "SampleMismatch"
    assert status["stable"]["ready"] == 1
    answer = service.post_through_api_server(kubectl, namespace, "sampled", "/predict", {"X": [[2.0]]})
    assert answer["y_pred"] == pytest.approx([5.0])
    kubectl.run("delete", "mdep", "sampled", f"--namespace={namespace}")


def test_tokens_and_tls_from_secrets_and_a_missing_one_is_told(
    kubectl: kubectl_module.Kubectl, namespace: str, forest: train.TrainedModel, tmp_path: Path
) -> None:
    access = {"tokens": {"secretName": "guests"}, "tls": {"secretName": "certificate"}}
    text = modeldeployments.manifest(
        "guarded", "s3://models/line/model.pkl", access=access, service={"type": "NodePort"}
    )
    kubectl.apply(text, f"--namespace={namespace}")
    stalled = waiting.eventually(
        lambda: modeldeployments.condition(kubectl, namespace, "guarded", "Stalled"), "Stalled", 60
    )
    assert "spec.access." in stalled["message"]
    assert "Secret" in stalled["message"]
    _make_secrets(kubectl, namespace, tmp_path)
    kubectl.run("delete", "mdep", "guarded", f"--namespace={namespace}", "--wait=true")
    _serve(
        kubectl,
        namespace,
        "guarded",
        "s3://models/line/model.pkl",
        access=access,
        service={"type": "NodePort"},
    )
    assert modeldeployments.status(kubectl, namespace, "guarded")["url"].startswith("https://guarded.")
    address = service.node_address(kubectl, namespace, "guarded")
    assert address is not None
    context = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
    context.check_hostname = False  # the node's address is not in the certificate
    with httpx.Client(base_url=address.url.replace("http:", "https:"), verify=context, timeout=30) as client:
        assert client.get("/readyz").status_code == 200
        assert client.post("/predict", json={"X": [[2.0]]}).status_code == 401
        answer = client.post(
            "/predict", json={"X": [[2.0]]}, headers={"authorization": f"Bearer {TOKEN}"}
        ).json()
    assert answer["y_pred"] == pytest.approx([5.0])
    kubectl.run("delete", "mdep", "guarded", f"--namespace={namespace}")


def _make_secrets(kubectl: kubectl_module.Kubectl, namespace: str, folder: Path) -> None:
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-days", "2", "-subj", "/CN=guarded", "-keyout", "tls.key", "-out", "tls.crt"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    make: Callable[..., str] = kubectl.run
    make("create", "secret", "generic", "guests", f"--namespace={namespace}", f"--from-literal=alice={TOKEN}")
    pair = (f"--cert={folder}/tls.crt", f"--key={folder}/tls.key")
    make("create", "secret", "tls", "certificate", f"--namespace={namespace}", *pair)
