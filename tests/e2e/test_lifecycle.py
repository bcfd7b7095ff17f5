"""What happens to a served model when pods die, children are deleted by hand, the resource or the chart goes away."""

import pytest

from demo import kubectl as kubectl_module
from demo import service, storage
from examples import train
from tests.support import modeldeployments, traffic, waiting

CHILDREN = "deployments,replicasets,pods,services,hpa,pdb,controllerrevisions,endpointslices"


@pytest.fixture(scope="module")
def uri(kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    model = train.train_line(tmp_path_factory.mktemp("models"))
    storage.publish(kubectl, namespace, {"line/model.pkl": model.path})
    return "s3://models/line/model.pkl"


def _serve(kubectl: kubectl_module.Kubectl, namespace: str, text: str, name: str) -> None:
    kubectl.apply(text, f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", f"mdep/{name}", f"--namespace={namespace}", "--timeout=120s")


def test_a_killed_pod_comes_back(kubectl: kubectl_module.Kubectl, namespace: str, uri: str) -> None:
    _serve(kubectl, namespace, modeldeployments.manifest("phoenix", uri), "phoenix")
    pod = modeldeployments.pods(kubectl, namespace, "phoenix")[0]["metadata"]["name"]
    kubectl.run(
        "delete", "pod", pod, f"--namespace={namespace}", "--grace-period=0", "--force", "--wait=false"
    )
    waiting.eventually(
        lambda: [
            p
            for p in modeldeployments.pods(kubectl, namespace, "phoenix")
            if p["metadata"]["name"] != pod and p["status"].get("containerStatuses", [{}])[0].get("ready")
        ],
        "another ready pod",
        60,
    )
    kubectl.run("wait", "--for=condition=Ready", "mdep/phoenix", f"--namespace={namespace}", "--timeout=30s")
    answer = service.post_through_api_server(kubectl, namespace, "phoenix", "/predict", {"X": [1]})
    assert answer["y_pred"] == pytest.approx([3.0])


@pytest.mark.parametrize("kind", ["deployment", "service", "pdb"])
def test_a_deleted_child_is_back_within_seconds(
    kubectl: kubectl_module.Kubectl, namespace: str, uri: str, kind: str
) -> None:
    _serve(kubectl, namespace, modeldeployments.manifest("drift", uri, replicas=2), "drift")
    old = kubectl.get(kind, "drift", f"--namespace={namespace}")["metadata"]["uid"]
    kubectl.run("delete", kind, "drift", f"--namespace={namespace}", "--wait=false")

    def is_back() -> bool:
        if not kubectl.exists(kind, "drift", f"--namespace={namespace}"):
            return False
        return bool(kubectl.get(kind, "drift", f"--namespace={namespace}")["metadata"]["uid"] != old)

    waiting.eventually(is_back, f"a new {kind}", 5)


def test_a_child_edited_by_hand_is_put_right(
    kubectl: kubectl_module.Kubectl, namespace: str, uri: str
) -> None:
    _serve(kubectl, namespace, modeldeployments.manifest("drift", uri, replicas=2), "drift")
    kubectl.run("scale", "deployment/drift", "--replicas=1", f"--namespace={namespace}")
    waiting.eventually(
        lambda: kubectl.get("deployment", "drift", f"--namespace={namespace}")["spec"]["replicas"] == 2,
        "two replicas again",
        5,
    )


def test_kubectl_scale_works(kubectl: kubectl_module.Kubectl, namespace: str, uri: str) -> None:
    _serve(kubectl, namespace, modeldeployments.manifest("drift", uri, replicas=2), "drift")
    kubectl.run("scale", "mdep/drift", "--replicas=3", f"--namespace={namespace}")
    waiting.eventually(
        lambda: modeldeployments.status(kubectl, namespace, "drift").get("readyReplicas") == 3,
        "three ready",
        60,
    )


def test_a_deleted_resource_takes_everything_with_it(
    kubectl: kubectl_module.Kubectl, namespace: str, uri: str
) -> None:
    _serve(kubectl, namespace, modeldeployments.manifest("drift", uri, replicas=2), "drift")
    selector = "--selector=app.kubernetes.io/instance=drift"
    assert kubectl.exists(CHILDREN, f"--namespace={namespace}", selector)
    kubectl.run("delete", "mdep", "drift", f"--namespace={namespace}", "--timeout=30s")
    waiting.eventually(
        lambda: not kubectl.exists(CHILDREN, f"--namespace={namespace}", selector), "nothing left", 90
    )


def test_an_update_loses_no_request(kubectl: kubectl_module.Kubectl, namespace: str, uri: str) -> None:
    text = modeldeployments.manifest("rolling", uri, replicas=2, service={"type": "NodePort"})
    _serve(kubectl, namespace, text, "rolling")
    address = service.node_address(kubectl, namespace, "rolling")
    assert address is not None
    with traffic.SteadyClient(address.url) as client:
        updated = modeldeployments.manifest(
            "rolling", uri, replicas=2, service={"type": "NodePort"}, runtime={"logLevel": "debug"}
        )
        kubectl.apply(updated, f"--namespace={namespace}")
        waiting.eventually(
            lambda: (
                (modeldeployments.condition(kubectl, namespace, "rolling", "Ready") or {}).get("status")
                == "True"
            ),
            "Ready with the new revision",
            120,
        )
        waiting.eventually(
            lambda: len(modeldeployments.pods(kubectl, namespace, "rolling")) == 2,
            "the old pods are gone",
            60,
        )
    assert client.answered > 100
    assert client.failures == []


def test_models_serve_on_without_the_operator_and_without_the_chart(
    kubectl: kubectl_module.Kubectl, namespace: str, uri: str, chart: list[str]
) -> None:
    _serve(kubectl, namespace, modeldeployments.manifest("lasting", uri), "lasting")
    uid = modeldeployments.pods(kubectl, namespace, "lasting")[0]["metadata"]["uid"]
    kubectl.run_helm("uninstall", "modelyard", "--namespace=modelyard-system", "--wait")
    try:
        assert kubectl.exists("crd", "modeldeployments.modelyard.dev")
        answer = service.post_through_api_server(kubectl, namespace, "lasting", "/predict", {"X": [1]})
        assert answer["y_pred"] == pytest.approx([3.0])
        # No operator, no webhook, no finalizer: deleting does not hang.
        kubectl.run("delete", "mdep", "rolling", f"--namespace={namespace}", "--timeout=30s")
    finally:
        kubectl.run_helm(*chart)
    kubectl.run("wait", "--for=condition=Ready", "mdep/lasting", f"--namespace={namespace}", "--timeout=60s")
    assert modeldeployments.pods(kubectl, namespace, "lasting")[0]["metadata"]["uid"] == uid
