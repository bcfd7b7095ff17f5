"""Keeps what a failed end-to-end test leaves to look at: objects, descriptions and logs of the cluster.

Called by tests/e2e/conftest.py when a test fails. It must never make a failing test fail differently: a command that
fails is written down as that.
"""

import shutil
from pathlib import Path

from demo import kubectl as kubectl_module

_COMMANDS = {
    "objects.txt": ("get", "all,mdep,hpa,pdb,events", "--all-namespaces", "--output=wide"),
    "modeldeployments.yaml": ("get", "mdep", "--all-namespaces", "--output=yaml"),
    "pods.txt": ("describe", "pods", "--all-namespaces"),
    "operator.log": (
        "logs",
        "--namespace=modelyard-system",
        "--selector=app.kubernetes.io/component=operator",
        "--tail=2000",
        "--prefix",
    ),
    "models.log": (
        "logs",
        "--all-namespaces",
        "--selector=app.kubernetes.io/name=modelyard-model",
        "--all-containers",
        "--tail=400",
        "--prefix",
    ),
}


def collect(kubectl: kubectl_module.Kubectl, folder: Path) -> Path:
    """Write the cluster's state and logs into `folder` and give its path."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, arguments in _COMMANDS.items():
        try:
            text = kubectl.run(*arguments, timeout_seconds=30)
        except kubectl_module.CommandError as error:
            text = f"not to be had: {error}\n"
        (folder / name).write_text(text)
    return folder
