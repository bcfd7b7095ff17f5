"""Two operator pods: one is lost, the other goes on; and what is left when the chart goes."""

import time
from collections.abc import Iterator

import pytest

from demo import install
from demo import kubectl as kubectl_module
from tests.support import modeldeployments, waiting

SYSTEM = f"--namespace={install.SYSTEM_NAMESPACE}"
LEASE = ("lease", "modelyard-operator", SYSTEM)
OPERATORS = "--selector=app.kubernetes.io/name=modelyard-operator"
# Promised after any loss (docs/install.md). The usual is 12 s, and less when the pod can still give the Lease back.
SUCCESSION_SECONDS = 15


@pytest.fixture
def pair(kubectl: kubectl_module.Kubectl, chart: list[str]) -> Iterator[None]:
    """Two operators, both ready, for as long as the test lasts."""
    kubectl.run_helm(*chart, "--set=operator.replicas=2")
    yield
    kubectl.run_helm(*chart)


def holder(kubectl: kubectl_module.Kubectl) -> str:
    """Give the name of the pod that leads; empty while none does."""
    if not kubectl.exists(*LEASE):
        return ""
    identity: str = kubectl.get(*LEASE).get("spec", {}).get("holderIdentity") or ""
    return identity.partition("_")[0]


def pods(kubectl: kubectl_module.Kubectl) -> set[str]:
    return {pod["metadata"]["name"] for pod in kubectl.get("pods", OPERATORS, SYSTEM)["items"]}


def stopped_model(kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> None:
    """Create a model that needs no pod: what is asked is whether the operator works."""
    kubectl.apply(modeldeployments.manifest(name, "s3://models/none", replicas=0), f"--namespace={namespace}")


def until_reconciled(
    kubectl: kubectl_module.Kubectl, namespace: str, name: str, timeout_seconds: float
) -> float:
    """Wait for the model's Deployment; give how long it took."""
    started = time.monotonic()
    waiting.eventually(
        lambda: kubectl.exists("deployment", name, f"--namespace={namespace}"),
        f"the Deployment of {name}",
        timeout_seconds,
    )
    return time.monotonic() - started


@pytest.mark.usefixtures("pair")
def test_a_lost_leader_is_succeeded_within_fifteen_seconds(
    kubectl: kubectl_module.Kubectl, namespace: str
) -> None:
    # The pod of before the pair leads until it has gone.
    both = waiting.eventually(
        lambda: found if len(found := pods(kubectl)) == 2 else None, "two pods and no third"
    )
    (leader,) = waiting.eventually(lambda: {holder(kubectl)} & both, "a leader among them")
    kubectl.run("delete", "pod", leader, SYSTEM, "--force", "--grace-period=0", "--wait=false")
    lost = time.monotonic()
    # The one that stood by, or the one that was started for the lost one: a leader that ends in order gives the Lease
    # up, and whoever asks first has it.
    waiting.eventually(lambda: {holder(kubectl)} - {leader, ""}, "another leader", SUCCESSION_SECONDS)
    stopped_model(kubectl, namespace, "after-loss")
    until_reconciled(kubectl, namespace, "after-loss", SUCCESSION_SECONDS)
    took = time.monotonic() - lost
    print(f"reconciled {took:.1f} s after the loss of the leader")
    assert took < SUCCESSION_SECONDS
    restarts = {
        status["restartCount"]
        for pod in kubectl.get("pods", OPERATORS, SYSTEM)["items"]
        for status in pod["status"].get("containerStatuses", ())
    }
    assert restarts <= {0}
    kubectl.run("delete", "mdep", "after-loss", f"--namespace={namespace}")


def test_an_upgrade_of_the_operator_hands_over_without_a_gap(
    kubectl: kubectl_module.Kubectl, namespace: str, chart: list[str]
) -> None:
    before = waiting.eventually(lambda: holder(kubectl), "a leader")
    kubectl.run_helm(*chart, "--set=operator.podAnnotations.test=upgrade")
    try:
        stopped_model(kubectl, namespace, "after-upgrade")
        took = until_reconciled(kubectl, namespace, "after-upgrade", SUCCESSION_SECONDS)
        print(f"reconciled {took:.1f} s after the upgrade")
        assert holder(kubectl) != before
        assert kubectl.get(*LEASE)["spec"]["leaseTransitions"] >= 2
    finally:
        kubectl.run_helm(*chart)
        kubectl.run("delete", "mdep", "after-upgrade", f"--namespace={namespace}")


def test_a_chart_that_goes_leaves_the_models_and_nothing_else_and_may_come_back(
    kubectl: kubectl_module.Kubectl, namespace: str, chart: list[str]
) -> None:
    stopped_model(kubectl, namespace, "survivor")
    until_reconciled(kubectl, namespace, "survivor", 60)
    try:
        kubectl.run_helm("uninstall", install.RELEASE, SYSTEM, "--wait")
        waiting.eventually(lambda: not pods(kubectl), "the operator's pods are gone")
        kinds = "deployment,lease,role,rolebinding,serviceaccount,poddisruptionbudget"
        mine = f"--selector=app.kubernetes.io/instance={install.RELEASE}"
        assert not kubectl.exists(kinds, mine, SYSTEM)
        assert not kubectl.exists(*LEASE)
        assert not kubectl.exists("clusterrole,clusterrolebinding", mine)
        assert kubectl.exists("deployment", "survivor", f"--namespace={namespace}")
        # Without an operator a model can be deleted, and its children go with it.
        kubectl.run("delete", "mdep", "survivor", f"--namespace={namespace}", timeout_seconds=60)
        waiting.eventually(
            lambda: not kubectl.exists("deployment", "survivor", f"--namespace={namespace}"),
            "the children are gone, too",
        )
    finally:
        kubectl.run_helm(*chart)
    stopped_model(kubectl, namespace, "newcomer")
    until_reconciled(kubectl, namespace, "newcomer", 60)
    kubectl.run("delete", "mdep", "newcomer", f"--namespace={namespace}")
