"""What a tampered artifact gets: files overwritten in the bucket, and one uploaded that would run a command.

Called by the demo once its models serve, and only after they were checked. It puts back every file it overwrites and
every number of replicas it changes. It must never show a refusal that the status didn't say.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib

from demo import kubectl as kubectl_module
from demo import storage
from examples import train

PATIENCE_SECONDS = 10.0
INTRUDER = "intruder"
_INTRUDER_KEY = f"{INTRUDER}/model.pkl"
_MANIFEST = f"""
apiVersion: modelyard.dev/v1alpha1
kind: ModelDeployment
metadata: {{name: {INTRUDER}}}
spec:
  model:
    uri: s3://{storage.BUCKET}/{_INTRUDER_KEY}
    credentials: {{secretName: {storage.SECRET}}}
"""


class RunsACommand:
    """What an attacker pickles: loading it would run a command."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        """Give what a careless loader calls."""
        return os.system, ("touch /tmp/owned",)


@contextlib.contextmanager
def overwritten(
    kubectl: kubectl_module.Kubectl, namespace: str, model: train.TrainedModel, key: str, folder: Path
) -> Iterator[str]:
    """Overwrite a served model's file, ask for one more pod, and give what the status says; at the end all is put back.

    Raises:
        CommandError: when the status names no refusal in time.
    """
    tampered = folder / "tampered"
    tampered.write_bytes(model.path.read_bytes() + b"\n# and something else")
    before = kubectl.get("mdep", model.name, f"--namespace={namespace}")["spec"].get("replicas")
    storage.publish(kubectl, namespace, {key: tampered})
    try:
        _ask_for(kubectl, namespace, model.name, (before or 1) + 1)
        yield _refusal(kubectl, namespace, model.name)
    finally:
        _ask_for(kubectl, namespace, model.name, before)
        storage.publish(kubectl, namespace, {key: model.path})


def refusal_of_a_command(kubectl: kubectl_module.Kubectl, namespace: str, folder: Path) -> str:
    """Publish a pickle that would run a command, apply a ModelDeployment for it, and give what the status says of it.

    Raises:
        CommandError: when the status names no refusal in time.
    """
    poisoned = folder / "poisoned"
    joblib.dump(RunsACommand(), poisoned)
    storage.publish(kubectl, namespace, {_INTRUDER_KEY: poisoned})
    kubectl.apply(_MANIFEST, f"--namespace={namespace}")
    try:
        # The pod is a new one: it is scheduled and its images are looked at before anything is fetched.
        return _refusal(kubectl, namespace, INTRUDER, patience_seconds=30)
    finally:
        kubectl.run("delete", "mdep", INTRUDER, f"--namespace={namespace}", "--wait=false")


def _ask_for(kubectl: kubectl_module.Kubectl, namespace: str, name: str, replicas: int | None) -> None:
    """Set spec.replicas; None takes it away, which means one."""
    patch = json.dumps({"spec": {"replicas": replicas}})
    kubectl.run("patch", "mdep", name, f"--namespace={namespace}", "--type=merge", f"--patch={patch}")


def _refusal(
    kubectl: kubectl_module.Kubectl, namespace: str, name: str, patience_seconds: float = PATIENCE_SECONDS
) -> str:
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < patience_seconds:
        status = kubectl.get("mdep", name, f"--namespace={namespace}").get("status", {})
        stalled = _condition(status, "Stalled")
        if stalled:
            return f"after {elapsed:.1f} s, {stalled['reason']}: {stalled['message']}"
        time.sleep(0.2)
    raise kubectl_module.CommandError(f"{name}: the status names no refusal within {patience_seconds:.0f} s")


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next((each for each in status.get("conditions", ()) if each["type"] == kind), {})
    return found
