"""A model file of a hundred bytes that fills a gigabyte: a reason in the status, while the old pods go on serving."""

from pathlib import Path
from typing import Any

import pytest
from onnx import helper

from demo import kubectl as kubectl_module
from demo import service, storage
from examples import train
from tests.support import bombs, bombs_onnx, modeldeployments, waiting

# What it fills is more than its container has and less than the node has: nothing but a limit of ours ends it in time.
_NUMBERS = 3 * 10**8
BOMBS: dict[str, bombs.Make] = {
    "that fills memory": bombs_onnx.model(
        [
            helper.make_node("Constant", [], ["size"], value_ints=[_NUMBERS]),
            helper.make_node("ConstantOfShape", ["size"], ["y"]),
        ]
    ),
    "that crashes its library": bombs.ALL["XGBoost: a child that is far away"],
}
REASONS = {"that fills memory": "LimitExceeded", "that crashes its library": "LoadFailed"}


@pytest.fixture(scope="module")
def published(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The line model and the bombs, in the storage; gives the URI of each bomb."""
    folder = tmp_path_factory.mktemp("models")
    files: dict[str, Path] = {"line/model.pkl": train.train_line(folder).path}
    uris = {}
    for index, (name, make) in enumerate(BOMBS.items()):
        place = folder / str(index)
        place.mkdir()
        file = make(place)
        files[f"bomb{index}/{file.name}"] = file
        uris[name] = f"s3://models/bomb{index}/{file.name}"
    storage.publish(kubectl, namespace, files)
    return uris


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_update_to_a_bomb_harms_nobody(
    kubectl: kubectl_module.Kubectl, namespace: str, published: dict[str, str], bomb: str
) -> None:
    name = "kept-" + bomb.split()[1]
    good = modeldeployments.manifest(name, "s3://models/line/model.pkl")
    kubectl.apply(good, f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", f"mdep/{name}", f"--namespace={namespace}", "--timeout=120s")
    (old,) = modeldeployments.pods(kubectl, namespace, name)
    kubectl.apply(modeldeployments.manifest(name, published[bomb]), f"--namespace={namespace}")
    stalled = waiting.eventually(
        lambda: modeldeployments.condition(kubectl, namespace, name, "Stalled"), "Stalled", 120
    )
    assert stalled["reason"] == REASONS[bomb], stalled
    status = modeldeployments.status(kubectl, namespace, name)
    assert status["candidate"]["failure"]["reason"] == REASONS[bomb]
    assert {c["type"]: c["status"] for c in status["conditions"]}["Available"] == "True"
    answer = service.post_through_api_server(kubectl, namespace, name, "/predict", {"X": [[2.0]]})
    assert answer["y_pred"] == pytest.approx([5.0])
    pods = {pod["metadata"]["name"]: pod["status"] for pod in modeldeployments.pods(kubectl, namespace, name)}
    serving = pods.pop(old["metadata"]["name"])
    assert [each["restartCount"] for each in serving["containerStatuses"]] == [0]
    (candidate,) = pods.values()
    ended = _ends(candidate["initContainerStatuses"], "prepare")
    assert ended
    # The kernel has ended nobody for want of memory: `prepare` came to its own end, with the reason's code.
    assert {end["reason"] for end in ended} == {"Error"}
    assert {end["exitCode"] for end in ended} == {status["candidate"]["failure"]["exitCode"]}
    kubectl.run("delete", "mdep", name, f"--namespace={namespace}")


def _ends(statuses: list[dict[str, Any]], container: str) -> list[dict[str, Any]]:
    """Give how the starts of a container have ended, as far as the kubelet remembers."""
    (found,) = (each for each in statuses if each["name"] == container)
    states = (found["state"], found.get("lastState", {}))
    return [state["terminated"] for state in states if "terminated" in state]
