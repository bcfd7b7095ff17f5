"""A Secret whose credentials are exchanged: running pods don't notice, the next start does, and wrong ones are told."""

import base64
import dataclasses
import json
import os
import secrets
import subprocess
from typing import Any

import pytest

from demo import install, service, storage
from demo import kubectl as kubectl_module
from devcluster import toolchain
from examples import train
from tests.support import modeldeployments

NAME = "rotated"
SECRET = "team-s3"
_ACCOUNTS = ["--iam-dir", "/tmp", "--iam-cache-disable"]


@dataclasses.dataclass(frozen=True)
class Accounts:
    """The accounts of the S3 server, as its administrator makes and revokes them; by name: the secret key."""

    kubectl: kubectl_module.Kubectl
    namespace: str
    made: dict[str, str] = dataclasses.field(default_factory=dict)

    def make(self, name: str) -> None:
        self.made[name] = f"canary{secrets.token_hex(16)}"
        self._administer("create-user", "--access", name, "--secret", self.made[name], "--role", "admin")

    def revoke(self, name: str) -> None:
        self._administer("delete-user", "--access", name)

    def put_into_secret(self, name: str) -> None:
        """Write an account's keys into the Secret that the model names."""
        keys = {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": self.made[name]}
        body = {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET},
            "stringData": self._server() | keys,
        }  # fmt: skip
        self.kubectl.apply(json.dumps(body), f"--namespace={self.namespace}")

    def _server(self) -> dict[str, str]:
        data = self.kubectl.get("secret", storage.SECRET, f"--namespace={self.namespace}")["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def _administer(self, *words: str) -> None:
        root = self._server()
        keys = {
            "ADMIN_ACCESS_KEY": root["AWS_ACCESS_KEY_ID"],
            "ADMIN_SECRET_KEY": root["AWS_SECRET_ACCESS_KEY"],
        }
        with self.kubectl.forwarded_port(self.namespace, "service/s3", storage.PORT) as port:
            server = f"http://127.0.0.1:{port}"
            command = [str(toolchain.binary("versitygw")), "admin", "--endpoint-url", server, *words]
            subprocess.run(command, env={**os.environ, **keys}, check=True, timeout=30)


@pytest.fixture(scope="module")
def accounts(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Accounts:
    """An S3 server with accounts beside the administrator's, and the line model in it."""
    server = kubectl.get("deployment", "s3", f"--namespace={namespace}")
    arguments = [*_ACCOUNTS, *server["spec"]["template"]["spec"]["containers"][0]["args"]]
    path = "/spec/template/spec/containers/0/args"
    patch = json.dumps([{"op": "replace", "path": path, "value": arguments}])
    kubectl.run("patch", "deployment/s3", "--type=json", f"--patch={patch}", f"--namespace={namespace}")
    kubectl.run("rollout", "status", "deployment/s3", f"--namespace={namespace}", "--timeout=90s")
    line = train.train_line(tmp_path_factory.mktemp("models"))
    storage.publish(kubectl, namespace, {"line/model.pkl": line.path})
    return Accounts(kubectl, namespace)


def test_a_changed_secret_counts_at_the_next_start_of_a_pod_and_touches_none_that_runs(
    kubectl: kubectl_module.Kubectl, namespace: str, accounts: Accounts
) -> None:
    accounts.make("first")
    accounts.put_into_secret("first")
    model = {"credentials": {"secretName": SECRET}}
    text = modeldeployments.manifest(NAME, "s3://models/line/model.pkl", model=model)
    kubectl.apply(text, f"--namespace={namespace}")
    modeldeployments.until_ready(kubectl, namespace, NAME)
    (running,) = _starts(kubectl, namespace).items()
    accounts.make("second")
    accounts.put_into_secret("second")
    accounts.revoke("first")
    _scale(kubectl, namespace, 2)
    modeldeployments.until_ready(kubectl, namespace, NAME)
    # What is revoked opens nothing: only a new pod sees it, and its next start sees the right keys again, by itself.
    accounts.put_into_secret("first")
    _scale(kubectl, namespace, 3)
    message = modeldeployments.until_stalled(kubectl, namespace, NAME, "AccessDenied")
    assert "AWS_ACCESS_KEY_ID" in message
    status = modeldeployments.status(kubectl, namespace, NAME)
    assert {each["type"]: each["status"] for each in status["conditions"]}["Available"] == "True"
    assert status["stable"]["ready"] == 2
    answer = service.post_through_api_server(kubectl, namespace, NAME, "/predict", {"X": [[2.0]]})
    assert answer["y_pred"] == pytest.approx([5.0])
    assert running in _starts(kubectl, namespace).items()
    readable = _readable(kubectl, namespace)
    assert "AccessDenied" in readable
    assert [name for name, secret in accounts.made.items() if secret in readable] == []
    accounts.put_into_secret("second")
    modeldeployments.until_ready(kubectl, namespace, NAME)
    assert modeldeployments.status(kubectl, namespace, NAME)["stable"]["ready"] == 3
    assert running in _starts(kubectl, namespace).items()


def _scale(kubectl: kubectl_module.Kubectl, namespace: str, replicas: int) -> None:
    kubectl.run("scale", "mdep", NAME, f"--replicas={replicas}", f"--namespace={namespace}")


def _starts(kubectl: kubectl_module.Kubectl, namespace: str) -> dict[str, list[Any]]:
    """Give how often each container of each pod was started, and when it was last."""
    return {
        pod["metadata"]["uid"]: [
            (each["restartCount"], each["state"])
            for kind in ("initContainerStatuses", "containerStatuses")
            for each in pod["status"].get(kind, ())
        ]
        for pod in modeldeployments.pods(kubectl, namespace, NAME)
    }


def _readable(kubectl: kubectl_module.Kubectl, namespace: str) -> str:
    """Give what anybody may read who may look into a namespace, and the operator's log."""
    here = f"--namespace={namespace}"
    said = [
        kubectl.run("get", "mdep,deployments,replicasets,pods,events,configmaps", "--output=yaml", here),
        kubectl.run("logs", "deployment/modelyard-operator", f"--namespace={install.SYSTEM_NAMESPACE}"),
    ]
    for pod in modeldeployments.pods(kubectl, namespace, NAME):
        said.append(modeldeployments.logs(kubectl, namespace, pod["metadata"]["name"], "fetch"))
    return "\n".join(said)
