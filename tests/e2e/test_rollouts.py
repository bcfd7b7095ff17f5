"""Rollouts that go another way than forward, on a real node: back, by Recreate, and without an owner."""

from collections.abc import Callable
from typing import Any

import pytest

from demo import kubectl as kubectl_module
from demo import service, storage
from examples import train
from tests.support import modeldeployments, waiting

ROLLBACK = {"rollout": {"onFailure": "Rollback"}}


@pytest.fixture(scope="module", autouse=True)
def published(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The line model, and beside it a file that is no model."""
    folder = tmp_path_factory.mktemp("models")
    line = train.train_line(folder)
    (folder / "page.pkl").write_text("<!doctype html><title>Sign in</title>")
    storage.publish(kubectl, namespace, {"line/model.pkl": line.path, "page.pkl": folder / "page.pkl"})


def served(kubectl: kubectl_module.Kubectl, namespace: str, name: str, **spec: Any) -> None:
    kubectl.apply(
        modeldeployments.manifest(name, "s3://models/line/model.pkl", **spec), f"--namespace={namespace}"
    )
    kubectl.run("wait", "--for=condition=Ready", f"mdep/{name}", f"--namespace={namespace}", "--timeout=120s")


def names(kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in modeldeployments.pods(kubectl, namespace, name)}


def is_stalled(
    kubectl: kubectl_module.Kubectl, namespace: str, name: str, reason: str
) -> Callable[[], dict[str, Any] | None]:
    def look() -> dict[str, Any] | None:
        found = modeldeployments.condition(kubectl, namespace, name, "Stalled")
        return found if found and found["reason"] == reason else None

    return look


def test_a_failed_update_is_rolled_back_and_the_next_spec_is_tried(
    kubectl: kubectl_module.Kubectl, namespace: str
) -> None:
    served(kubectl, namespace, "back", **ROLLBACK)
    before = names(kubectl, namespace, "back")
    broken = modeldeployments.manifest("back", "s3://models/page.pkl", **ROLLBACK)
    kubectl.apply(broken, f"--namespace={namespace}")
    stalled = waiting.eventually(is_stalled(kubectl, namespace, "back", "RolledBack"), "RolledBack", 90)
    assert "LoadFailed" in stalled["message"]
    waiting.eventually(
        lambda: names(kubectl, namespace, "back") == before or None, "the failed pods are gone", 60
    )
    status = modeldeployments.status(kubectl, namespace, "back")
    assert {c["type"]: c["status"] for c in status["conditions"]}["Available"] == "True"
    assert status["candidate"]["failure"]["reason"] == "LoadFailed"
    answer = service.post_through_api_server(kubectl, namespace, "back", "/predict", {"X": [[2.0]]})
    assert answer["y_pred"] == pytest.approx([5.0])
    served(kubectl, namespace, "back", **ROLLBACK)
    assert names(kubectl, namespace, "back") == before
    kubectl.run("delete", "mdep", "back", f"--namespace={namespace}")


def test_recreate_never_runs_two_revisions_at_once(kubectl: kubectl_module.Kubectl, namespace: str) -> None:
    recreate = {"rollout": {"strategy": "Recreate"}}
    served(kubectl, namespace, "anew", **recreate)
    before = names(kubectl, namespace, "anew")
    changed = modeldeployments.manifest(
        "anew", "s3://models/line/model.pkl", model={"name": "renamed"}, **recreate
    )
    kubectl.apply(changed, f"--namespace={namespace}")
    at_once: list[set[str]] = []  # revisions whose pods have not ended, at each look

    def is_ready() -> bool | None:
        pods = kubectl.get("pods", f"--namespace={namespace}", "--selector=app.kubernetes.io/instance=anew")[
            "items"
        ]
        running = [pod for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]
        at_once.append({pod["metadata"]["labels"]["modelyard.dev/revision"] for pod in running})
        ready = modeldeployments.condition(kubectl, namespace, "anew", "Ready")
        return bool(ready and ready["status"] == "True") or None

    waiting.eventually(is_ready, "Ready again", 120)
    assert max(len(each) for each in at_once) == 1
    assert len(set().union(*at_once)) == 2, "the looks saw both revisions"
    assert not before & names(kubectl, namespace, "anew")
    kubectl.run("delete", "mdep", "anew", f"--namespace={namespace}")


def test_orphaned_children_are_adopted_with_their_pods(
    kubectl: kubectl_module.Kubectl, namespace: str
) -> None:
    served(kubectl, namespace, "orphan")
    before = names(kubectl, namespace, "orphan")
    kubectl.run("delete", "mdep", "orphan", f"--namespace={namespace}", "--cascade=orphan")
    assert names(kubectl, namespace, "orphan") == before
    served(kubectl, namespace, "orphan")
    assert names(kubectl, namespace, "orphan") == before
    kubectl.run("delete", "mdep", "orphan", f"--namespace={namespace}")
    waiting.eventually(
        lambda: (
            not kubectl.get(
                "deployments", f"--namespace={namespace}", "--field-selector=metadata.name=orphan"
            )["items"]
        ),
        "the adopted children go with their owner",
        60,
    )
