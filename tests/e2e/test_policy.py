"""The administrator's rules on a real cluster: told by the operator and the API server, and models behind the fence."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import kubectl as kubectl_module
from demo import storage
from examples import train
from tests.support import modeldeployments, waiting

URI = "s3://models/line/model.pkl"
RULE = "policy.requireDigest: spec.model.digest must pin the artifact in namespace "


@pytest.fixture(scope="module")
def ruled(
    kubectl: kubectl_module.Kubectl,
    namespace: str,
    chart: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """An operator with a rule for this namespace and a fence; gives the digest of a model that is there."""
    path = train.train_line(tmp_path_factory.mktemp("models")).path
    storage.publish(kubectl, namespace, {"line/model.pkl": path})
    kubectl.run_helm(*chart, *_rules(namespace))
    yield f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
    kubectl.run_helm(*chart)


def _rules(namespace: str) -> tuple[str, ...]:
    pattern = namespace[:-2] + "*"
    return f"--set=policy.requireDigest={{{pattern}}}", "--set=policy.fenceOperator.enabled=true"


def test_what_a_rule_forbids_is_stalled_with_its_name_and_what_it_allows_is_served_behind_the_fence(
    kubectl: kubectl_module.Kubectl, namespace: str, ruled: str
) -> None:
    kubectl.apply(modeldeployments.manifest("unpinned", URI), f"--namespace={namespace}")
    stalled = waiting.eventually(
        lambda: modeldeployments.condition(kubectl, namespace, "unpinned", "Stalled"), "Stalled", 30
    )
    assert stalled["reason"] == "PolicyViolation"
    assert stalled["message"].startswith(RULE + namespace)
    assert not kubectl.exists("deployment", "unpinned", f"--namespace={namespace}")
    pinned = modeldeployments.manifest("pinned", URI, model={"digest": ruled})
    kubectl.apply(pinned, f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", "mdep/pinned", f"--namespace={namespace}", "--timeout=120s")


def test_with_admission_kubectl_apply_is_refused_in_the_operators_words(
    kubectl: kubectl_module.Kubectl, namespace: str, chart: list[str], ruled: str
) -> None:
    kubectl.run_helm(*chart, *_rules(namespace), "--set=policy.admission.enabled=true")
    text = modeldeployments.manifest("refused", URI)

    def refusal() -> str:
        """Give what is said once the policy is in force; until then the resource is let in."""
        try:
            kubectl.apply(text, f"--namespace={namespace}")
        except kubectl_module.CommandError as refused:
            return str(refused)
        kubectl.run("delete", "mdep", "refused", f"--namespace={namespace}")
        return ""

    assert RULE + namespace in waiting.eventually(refusal, "the API server refuses", 60)
    assert not kubectl.exists("mdep", "refused", f"--namespace={namespace}")
    # What broke the rule before there was admission can still be changed otherwise.
    kubectl.run("label", "mdep", "unpinned", "a=b", f"--namespace={namespace}")
