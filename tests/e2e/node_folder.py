"""A folder of the node, and a pod with root there: what the administrator of a node prepares, sees and damages.

Used by the tests of the node cache. The pod sees the node's processes, so that one of them can be ended as the kernel
would end it; it must never touch a process that it has not found by a lock in its own folder.
"""

import contextlib
import dataclasses
import json
import uuid
from collections.abc import Iterator
from typing import Any

from demo import kubectl as kubectl_module

_ROOT = "/var/tmp"
_PYTHON = "/opt/modelyard/bin/python"

# Ends whoever writes an entry of a node cache, while it does: it holds the entry's lock. Says how far it had come.
KILL_A_WRITER = """
import os, pathlib, signal, time
def holder(lock):
    found = os.stat(lock)
    key = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in open("/proc/locks"):
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5] == key:
            return int(fields[4])
end = time.monotonic() + 60
while time.monotonic() < end:
    for lock in pathlib.Path("cache/writing").glob("*/lock"):
        try:
            pid = holder(lock)
        except FileNotFoundError:
            continue
        if pid:
            os.kill(pid, signal.SIGKILL)
            print("killed")
            raise SystemExit
    time.sleep(0.001)
raise SystemExit("nothing was written within 60 s")
"""


@dataclasses.dataclass(frozen=True)
class NodeFolder:
    """A folder of the node.

    Attributes:
        path: where it is on the node.
        node: the node's name.
        namespace: which admits pods with volumes of the node.
    """

    kubectl: kubectl_module.Kubectl
    path: str
    node: str
    namespace: str

    def run(self, program: str) -> str:
        """Run a Python program as root, in the folder, and give what it printed."""
        there = f"import os; os.chdir({self.path.replace(_ROOT, '/node')!r})\n{program}"
        return self.kubectl.run("exec", "node", f"--namespace={self.namespace}", "--", _PYTHON, "-c", there)


@contextlib.contextmanager
def made(kubectl: kubectl_module.Kubectl, image: str) -> Iterator[NodeFolder]:
    """Make a folder on a node, in a namespace of its own that admits everything, and remove both afterwards."""
    name = f"node-{uuid.uuid4().hex[:8]}"
    folder = f"modelyard-{name}"
    space = {
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
    }  # fmt: skip
    for each in (space, _pod(name, folder, image)):
        kubectl.apply(json.dumps(each))
    kubectl.run("wait", "--for=condition=Ready", "pod/node", f"--namespace={name}", "--timeout=90s")
    node = kubectl.get("pod", "node", f"--namespace={name}")["spec"]["nodeName"]
    made_folder = NodeFolder(kubectl, f"{_ROOT}/{folder}", node, name)
    try:
        yield made_folder
    finally:
        made_folder.run(f"import shutil; shutil.rmtree('/node/{folder}')")
        kubectl.run("delete", "namespace", name, "--wait=false")


def _pod(namespace: str, folder: str, image: str) -> dict[str, Any]:
    program = f"import os, signal; os.makedirs('/node/{folder}'); signal.pause()"
    ready = {"exec": {"command": ["ls", f"/node/{folder}"]}, "periodSeconds": 1}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "node", "namespace": namespace},
        "spec": {
            "hostPID": True, "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "node", "image": image, "command": [_PYTHON, "-c", program],
                "securityContext": {"runAsUser": 0}, "readinessProbe": ready,
                "resources": {"requests": {"cpu": "50m"}},
                "volumeMounts": [{"name": "node", "mountPath": "/node"}],
            }],
            "volumes": [{"name": "node", "hostPath": {"path": _ROOT}}],
        },
    }  # fmt: skip
