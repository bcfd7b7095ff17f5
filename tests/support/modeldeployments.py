"""Builds ModelDeployment manifests for tests and reads their status."""

from typing import Any

import yaml

from demo import kubectl as kubectl_module
from demo import storage
from tests.support import waiting


def manifest(name: str, uri: str, **spec: Any) -> str:
    """Give the YAML of a ModelDeployment that fetches `uri` with the test storage's credentials.

    Keyword arguments are fields of the spec; `model` is merged into the model block.
    """
    model = {"uri": uri, "credentials": {"secretName": storage.SECRET}, **spec.pop("model", {})}
    # Small requests: many pods share the test node's two cores.
    resources = {"requests": {"cpu": "20m", "memory": "160Mi"}, "limits": {"memory": "512Mi"}}
    body = {
        "apiVersion": "modelyard.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {"model": model, "resources": resources, **spec},
    }
    return yaml.safe_dump(body, sort_keys=False)


def status(kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> dict[str, Any]:
    """Give the status block, empty when there is none yet."""
    found = kubectl.get("mdep", name, f"--namespace={namespace}").get("status", {})
    assert isinstance(found, dict)
    return found


def condition(kubectl: kubectl_module.Kubectl, namespace: str, name: str, kind: str) -> dict[str, Any] | None:
    """Give the condition of that type when the status speaks of the present generation, else None."""
    body = kubectl.get("mdep", name, f"--namespace={namespace}")
    current = body.get("status", {})
    if current.get("observedGeneration") != body["metadata"]["generation"]:
        return None
    return next((c for c in current.get("conditions", []) if c["type"] == kind), None)


def until_ready(kubectl: kubectl_module.Kubectl, namespace: str, *names: str) -> None:
    """Wait until the spec of each is rolled out and ready."""
    of = [f"mdep/{name}" for name in names]
    kubectl.run("wait", "--for=condition=Ready", *of, f"--namespace={namespace}", "--timeout=115s")


def until_stalled(kubectl: kubectl_module.Kubectl, namespace: str, name: str, reason: str) -> str:
    """Wait until only the user can help, for that reason; give the message."""

    def told() -> str:
        found = condition(kubectl, namespace, name, "Stalled") or {}
        return str(found["message"]) if found.get("reason") == reason else ""

    return waiting.eventually(told, f"{name} is Stalled, reason {reason}", 90)


def pods(kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> list[dict[str, Any]]:
    """Give the model's pods, those being deleted left out."""
    found = kubectl.get("pods", f"--namespace={namespace}", f"--selector=app.kubernetes.io/instance={name}")[
        "items"
    ]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def logs(kubectl: kubectl_module.Kubectl, namespace: str, pod: str, container: str) -> str:
    """Give what a container of a pod has written, its last start."""
    return kubectl.run("logs", pod, f"--namespace={namespace}", f"--container={container}")


def run_in_pod(kubectl: kubectl_module.Kubectl, namespace: str, name: str, program: str) -> str:
    """Run a Python program in the serving container of the model's first pod and give what it printed."""
    pod = pods(kubectl, namespace, name)[0]["metadata"]["name"]
    command = ("/opt/modelyard/bin/python", "-c", program)
    return kubectl.run("exec", pod, f"--namespace={namespace}", "--container=serve", "--", *command)
