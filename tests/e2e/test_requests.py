"""Requests a model can't answer get the caller's error from the real pod, and the pod does not care."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from demo import kubectl as kubectl_module
from demo import service, storage
from examples import train
from tests.support import modeldeployments

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def url(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The forest, served, reached at its node port."""
    model = train.train_forest(tmp_path_factory.mktemp("models"))
    storage.publish(kubectl, namespace, {"forest/forest.joblib": model.path})
    text = modeldeployments.manifest(
        "forest", "s3://models/forest/forest.joblib", service={"type": "NodePort"}
    )
    kubectl.apply(text, f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", "mdep/forest", f"--namespace={namespace}", "--timeout=120s")
    address = service.node_address(kubectl, namespace, "forest")
    assert address is not None
    yield address.url
    pod = modeldeployments.pods(kubectl, namespace, "forest")[0]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    kubectl.run("delete", "mdep", "forest", f"--namespace={namespace}")


REFUSED: dict[str, tuple[bytes, dict[str, str], int, tuple[str, ...]]] = {
    "too few features": (b'{"X": [[1, 2, 3]]}', JSON, 400, ("30", "3")),
    "not a number, as Python writes it": (b'{"X": [[NaN]]}', JSON, 400, ("JSON",)),
    "a number that overflows": (b'{"X": [[1e400' + b", 1" * 29 + b"]]}", JSON, 400, ("X",)),
    "text where numbers belong": (
        b'{"X": [["old"' + b", 1" * 29 + b"]]}",
        JSON,
        400,
        ("row 0", "mean radius"),
    ),
    "an empty body": (b"", JSON, 400, ("empty",)),
    "no X": (b"{}", JSON, 400, ("X",)),
    "no JSON": (b"X=1", JSON, 400, ("JSON",)),
    "another content type": (b"X=1", {"content-type": "text/plain"}, 415, ("application/json",)),
    "a table of another width": (b"1,2,3", {"content-type": "text/csv"}, 400, ("30",)),
    "fifty megabytes": (b"[" + b"1," * (25 * 1024 * 1024) + b"1]", JSON, 413, ("16",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_callers_fault_is_told_to_the_caller(url: str, http: httpx.Client, case: str) -> None:
    body, headers, code, words = REFUSED[case]
    answer = http.post(f"{url}/predict", content=body, headers=headers)
    assert answer.status_code == code, answer.text
    message: Any = answer.json()["error"]
    for word in words:
        assert word in message
    assert "Traceback" not in answer.text


def test_an_unknown_model_and_an_unknown_path_are_not_found(url: str, http: httpx.Client) -> None:
    assert http.get(f"{url}/v2/models/rose").status_code == 404
    assert http.get(f"{url}/nothing/here").status_code == 404


def test_metrics_and_openapi_speak_of_this_model(url: str, http: httpx.Client) -> None:
    assert 'model="forest"' in http.get(f"{url}/metrics").text
    assert "/predict" in http.get(f"{url}/openapi.json").json()["paths"]
