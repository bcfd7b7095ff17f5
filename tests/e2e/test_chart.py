"""The chart in namespaced mode: Roles instead of a ClusterRole, and an operator that sees only its namespaces."""

from pathlib import Path

import yaml

from demo import kubectl as kubectl_module
from demo import storage
from examples import train
from tests.support import modeldeployments, waiting


def test_a_list_of_namespaces_is_served_with_roles_only(
    kubectl: kubectl_module.Kubectl, namespace: str, chart: list[str], tmp_path: Path
) -> None:
    storage.publish(kubectl, namespace, {"line/model.pkl": train.train_line(tmp_path).path})
    kubectl.run("create", "namespace", "not-served")
    kubectl.run_helm(*chart, f"--set=watchNamespaces={{{namespace}}}")
    try:
        text = modeldeployments.manifest("local", "s3://models/line/model.pkl")
        kubectl.apply(text, "--namespace=not-served")
        kubectl.apply(text, f"--namespace={namespace}")
        kubectl.run(
            "wait", "--for=condition=Ready", "mdep/local", f"--namespace={namespace}", "--timeout=120s"
        )
        assert not kubectl.exists("deployment", "local", "--namespace=not-served")
        assert not kubectl.exists("clusterrolebinding", "modelyard-operator")
        can = kubectl.run(
            "auth", "can-i", "--list", "--as=system:serviceaccount:modelyard-system:modelyard-operator",
            "--namespace=not-served",
        )  # fmt: skip
        assert "deployments" not in can
        kubectl.run("delete", "mdep", "local", f"--namespace={namespace}")
    finally:
        kubectl.run_helm(*chart)
    # Back in cluster mode, what was passed over is served too.
    waiting.eventually(
        lambda: kubectl.exists("deployment", "local", "--namespace=not-served"), "its Deployment", 60
    )
    kubectl.run("delete", "namespace", "not-served", "--wait=false")


def test_the_operator_cannot_read_secrets_or_make_pods(kubectl: kubectl_module.Kubectl) -> None:
    for verb, resource in (
        ("get", "secrets"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("patch", "nodes"),
    ):
        assert not kubectl.can(verb, resource, "system:serviceaccount:modelyard-system:modelyard-operator")


def test_installing_twice_changes_nothing(kubectl: kubectl_module.Kubectl, chart: list[str]) -> None:
    before = kubectl.get("deployment", "modelyard-operator", "--namespace=modelyard-system")["metadata"][
        "generation"
    ]
    kubectl.run_helm(*chart)
    after = kubectl.get("deployment", "modelyard-operator", "--namespace=modelyard-system")["metadata"][
        "generation"
    ]
    assert after == before
    crd = yaml.safe_load(kubectl.run("get", "crd", "modeldeployments.modelyard.dev", "--output=yaml"))
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
