"""The autoscaler adds pods under real load and takes them away again, and nobody else touches the number."""

import concurrent.futures
import threading
from pathlib import Path

import httpx

from demo import kubectl as kubectl_module
from demo import service, storage
from examples import train
from tests.support import modeldeployments, waiting

# Bounds of the load: it stops by itself even when the test dies in between.
LOAD_SECONDS = 150
CLIENTS = 4


def test_load_scales_up_and_its_end_scales_down(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path: Path
) -> None:
    model = train.train_forest(tmp_path)
    storage.publish(kubectl, namespace, {"forest/forest.joblib": model.path})
    text = modeldeployments.manifest(
        "busy",
        "s3://models/forest/forest.joblib",
        service={"type": "NodePort"},
        autoscaling={
            "minReplicas": 1,
            "maxReplicas": 3,
            "targetCPUUtilization": 100,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
        },
    )
    kubectl.apply(text, f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", "mdep/busy", f"--namespace={namespace}", "--timeout=120s")
    address = service.node_address(kubectl, namespace, "busy")
    assert address is not None
    hpa = kubectl.get("hpa", "busy", f"--namespace={namespace}")
    assert (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]) == (1, 3)

    stop = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        load = [pool.submit(_predict_until, stop, address.url, model.rows) for _ in range(CLIENTS)]
        try:
            waiting.eventually(
                lambda: _ready(kubectl, namespace) >= 2, "a second ready pod under load", LOAD_SECONDS, 1
            )
        finally:
            stop.set()
        outcomes = [future.result() for future in load]
    assert sum(answered for answered, _ in outcomes) > 50
    assert [failure for _, failures in outcomes for failure in failures] == []
    waiting.eventually(lambda: _ready(kubectl, namespace) == 1, "one pod again without load", 150, 1)
    status = modeldeployments.status(kubectl, namespace, "busy")
    assert {c["type"]: c["status"] for c in status["conditions"]} == {"Available": "True", "Ready": "True"}
    kubectl.run("delete", "mdep", "busy", f"--namespace={namespace}")


def test_handing_the_number_over_never_passes_through_one(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path: Path
) -> None:
    model = train.train_line(tmp_path)
    storage.publish(kubectl, namespace, {"line/model.pkl": model.path})
    uri = "s3://models/line/model.pkl"
    plain = modeldeployments.manifest("steady", uri, replicas=3)
    scaled = modeldeployments.manifest(
        "steady", uri, autoscaling={"minReplicas": 3, "maxReplicas": 4, "targetCPUUtilization": 400}
    )
    kubectl.apply(plain, f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", "mdep/steady", f"--namespace={namespace}", "--timeout=120s")
    with _Watch(kubectl, namespace, "steady") as watch:
        kubectl.apply(scaled, f"--namespace={namespace}")
        waiting.eventually(lambda: kubectl.exists("hpa", "steady", f"--namespace={namespace}"), "an HPA", 20)
        waiting.eventually(lambda: _unowned(kubectl, namespace), "the operator lets go of replicas", 20)
        kubectl.apply(plain, f"--namespace={namespace}")
        waiting.eventually(
            lambda: not kubectl.exists("hpa", "steady", f"--namespace={namespace}"), "no HPA", 20
        )
    assert watch.seen
    assert min(watch.seen) == 3
    kubectl.run("delete", "mdep", "steady", f"--namespace={namespace}")


def _predict_until(stop: threading.Event, url: str, rows: list[list[float]]) -> tuple[int, list[str]]:
    """Predict until told to stop or LOAD_SECONDS have passed; give the number of answers and every failure."""
    answered, failures = 0, []
    deadline = threading.Event()
    timer = threading.Timer(LOAD_SECONDS, deadline.set)
    timer.start()
    try:
        # A connection for each request, so that new pods get their share of the load.
        while not stop.is_set() and not deadline.is_set():
            with httpx.Client(timeout=30) as client:
                answer = client.post(f"{url}/predict", json={"X": rows * 20})
            if answer.status_code == 200:
                answered += 1
            elif answer.status_code != 429:  # told to come back later is an answer, not a failure
                failures.append(f"{answer.status_code} {answer.text[:200]}")
    finally:
        timer.cancel()
    return answered, failures


def _ready(kubectl: kubectl_module.Kubectl, namespace: str) -> int:
    return int(modeldeployments.status(kubectl, namespace, "busy").get("readyReplicas", 0))


def _unowned(kubectl: kubectl_module.Kubectl, namespace: str) -> bool:
    """Tell whether the operator's main field manager no longer owns the Deployment's replicas."""
    deployment = kubectl.get("deployment", "steady", f"--namespace={namespace}", "--show-managed-fields")
    return not any(
        entry["manager"] == "modelyard" and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in deployment["metadata"]["managedFields"]
    )


class _Watch:
    """Records every value of a Deployment's spec.replicas while it is open."""

    def __init__(self, kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> None:
        self.seen: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(kubectl, namespace, name))

    def _look(self, kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> None:
        while not self._stop.wait(0.1):
            self.seen.append(kubectl.get("deployment", name, f"--namespace={namespace}")["spec"]["replicas"])

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
