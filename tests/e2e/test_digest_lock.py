"""Other bytes at the address of an unpinned model: its pods serve on, a new one refuses and the status says why."""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import kubectl as kubectl_module
from demo import service, storage
from examples import train
from tests.support import modeldeployments, waiting

NAME = "locked"
KEY = "locked/model.pkl"
# From the moment at which the refusing container has ended to the status of the resource.
TOLD_WITHIN_SECONDS = 10
_HEADER = """
import urllib.request
headers = {"Content-Type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8080/predict", b'{"X": [[2.0]]}', headers)
print(urllib.request.urlopen(request).headers["Modelyard-Model-Digest"])
"""


@pytest.fixture(scope="module")
def line(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[train.TrainedModel]:
    """An unpinned model that serves."""
    model = train.train_line(tmp_path_factory.mktemp("models"))
    storage.publish(kubectl, namespace, {KEY: model.path})
    kubectl.apply(modeldeployments.manifest(NAME, f"s3://models/{KEY}"), f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", f"mdep/{NAME}", f"--namespace={namespace}", "--timeout=180s")
    yield model
    kubectl.run("delete", "mdep", NAME, f"--namespace={namespace}")


def test_the_digest_of_the_first_pod_is_told_and_kept(
    kubectl: kubectl_module.Kubectl, namespace: str, line: train.TrainedModel
) -> None:
    def is_told() -> bool:
        stable = modeldeployments.status(kubectl, namespace, NAME).get("stable") or {}
        return (stable.get("digest"), stable.get("format")) == (line.digest, "sklearn")

    waiting.eventually(is_told, "digest and format are in the status", 15)
    status = modeldeployments.status(kubectl, namespace, NAME)
    assert (status["digest"], status["format"]) == (line.digest.removeprefix("sha256:")[:12], "sklearn")
    assert modeldeployments.run_in_pod(kubectl, namespace, NAME, _HEADER).strip() == line.digest
    lock = f"{status['stable']['revision']}-lock"

    def is_kept() -> bool:
        found = kubectl.get(
            "configmaps", f"--namespace={namespace}", f"--field-selector=metadata.name={lock}"
        )
        return [each["data"]["digest"] for each in found["items"]] == [line.digest]

    waiting.eventually(is_kept, "there is a lock", 15)
    kubectl.run("delete", "configmap", lock, f"--namespace={namespace}")
    waiting.eventually(is_kept, "the lock that somebody has deleted is back", 15)


def test_other_bytes_are_refused_in_the_status_within_seconds_and_the_old_pods_serve_on(
    kubectl: kubectl_module.Kubectl, namespace: str, line: train.TrainedModel, tmp_path: Path
) -> None:
    other = tmp_path / "other.pkl"
    other.write_bytes(line.path.read_bytes() + b"\n# and something else")
    first = modeldeployments.pods(kubectl, namespace, NAME)[0]["metadata"]["name"]
    storage.publish(kubectl, namespace, {KEY: other})
    kubectl.run("scale", "mdep", NAME, "--replicas=2", f"--namespace={namespace}")
    ended = waiting.eventually(_refusal(kubectl, namespace, first), "the new pod refuses", 90)
    stalled = waiting.eventually(
        lambda: modeldeployments.condition(kubectl, namespace, NAME, "Stalled"), "Stalled", 30
    )
    told_after = time.time() - ended
    assert stalled["reason"] == "DigestChanged", stalled
    for words in (line.digest, f"spec.model.digest: {_digest(other)}", f"s3://models/{KEY}"):
        assert words in stalled["message"]
    assert told_after < TOLD_WITHIN_SECONDS
    status = modeldeployments.status(kubectl, namespace, NAME)
    assert {each["type"]: each["status"] for each in status["conditions"]}["Available"] == "True"
    assert (status["stable"]["ready"], status["stable"]["digest"]) == (1, line.digest)
    assert status["stable"]["failure"]["pod"] != first
    answer = service.post_through_api_server(kubectl, namespace, NAME, "/predict", {"X": [[2.0]]})
    assert answer["y_pred"] == pytest.approx([5.0])
    assert first in {pod["metadata"]["name"] for pod in modeldeployments.pods(kubectl, namespace, NAME)}
    # What was there before is what the new pod may serve.
    storage.publish(kubectl, namespace, {KEY: line.path})
    kubectl.run("wait", "--for=condition=Ready", f"mdep/{NAME}", f"--namespace={namespace}", "--timeout=180s")
    assert modeldeployments.status(kubectl, namespace, NAME)["stable"]["ready"] == 2


def _refusal(kubectl: kubectl_module.Kubectl, namespace: str, first: str) -> Callable[[], float | None]:
    """Look for the end of another pod's container that fetches, and give when that was first seen."""

    def look() -> float | None:
        for pod in modeldeployments.pods(kubectl, namespace, NAME):
            if pod["metadata"]["name"] == first:
                continue
            for container in pod["status"].get("initContainerStatuses", []):
                state, last = container.get("state", {}), container.get("lastState", {})
                if (state.get("terminated") or last.get("terminated") or {}).get("exitCode"):
                    return time.time()
        return None

    return look


def _digest(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
