"""`rollback`: a rule that was made since keeps a failed rollout from going back, unless it has gone back already."""

from typing import Any

from modelyard_operator import api, marks, naming, policyspec, revisions, rollback, rollout
from modelyard_operator.objects import Kind
from modelyard_operator.observed import Observed
from tests.support import cluster_specs

PINNED_ONLY = policyspec.Policy(require_digest=True)
DIGEST = "sha256:" + "a" * 64
FAILED = rollout.Target("iris-1", marks.Failed("attempt", 2, "LoadFailed", "broken"))


def asked(**model: Any) -> api.ModelDeployment:
    metadata = {"name": "iris", "namespace": "team-a", "uid": "u", "generation": 2}
    return api.parse({"metadata": metadata, "spec": cluster_specs.spec(model=model)})


def seen(intent: dict[str, Any], running: str = "iris-2", image: str = "elsewhere/runtime:1") -> Observed:
    """Give a cluster with the revision to go back to, and a Deployment that runs a revision."""
    template = {
        "metadata": {"labels": {}},
        "spec": {"containers": [{"name": naming.SERVE, "image": image}]},
    }
    data = {"intent": intent, "template": template}
    stored = {"metadata": {"name": "iris-1"}, "revision": 1, "data": data}
    labels = {naming.LABEL_REVISION: running}
    deployment = {"spec": {"template": {"metadata": {"labels": labels}}}}
    return Observed(children={Kind.DEPLOYMENT: deployment}, revisions=(stored,))


def judged(cluster: Observed, rules: policyspec.Policy) -> rollout.Target:
    return rollback.within_rules(FAILED, asked(digest=DIGEST), "iris-2", cluster, rules)


def test_what_no_rule_forbids_is_gone_back_to() -> None:
    assert judged(seen(revisions.intent(asked())), policyspec.Policy()) == FAILED
    assert judged(seen(revisions.intent(asked(digest=DIGEST))), PINNED_ONLY) == FAILED


def test_what_a_rule_forbids_is_not_and_the_rule_is_named() -> None:
    target = judged(seen(revisions.intent(asked())), PINNED_ONLY)
    assert (target.revision, target.failed) == ("iris-2", None)
    assert "not rolled back to iris-1" in target.forbidden
    assert "policy.requireDigest: spec.model.digest must pin" in target.forbidden


def test_the_image_of_the_revision_itself_is_judged() -> None:
    rules = policyspec.Policy(allowed_images=("registry.example/",))
    target = judged(seen(revisions.intent(asked())), rules)
    assert "policy.allowedImages: the runtime image elsewhere/runtime:1 is none of" in target.forbidden
    assert judged(seen(revisions.intent(asked()), image="registry.example/runtime:1"), rules) == FAILED


def test_what_was_gone_back_to_before_the_rule_is_left_as_it_runs() -> None:
    target = judged(seen(revisions.intent(asked()), running="iris-1"), PINNED_ONLY)
    assert (target.revision, target.failed) == (FAILED.revision, FAILED.failed)
    assert "is left as it runs: policy.requireDigest" in target.forbidden


def test_what_cannot_be_read_is_gone_back_to_only_without_rules() -> None:
    unreadable = {"name": "iris", "model": {"uri": 7}}
    assert judged(seen(unreadable), policyspec.Policy()) == FAILED
    assert "can't read what it asks for" in judged(seen(unreadable), PINNED_ONLY).forbidden


def test_an_intent_reads_back_as_what_was_asked_for() -> None:
    model_deployment = asked(digest=DIGEST, format="onnx", credentials={"secretName": "modelyard-s3"})
    stored = seen(revisions.intent(model_deployment)).revisions[0]
    again = revisions.asked_for(model_deployment.identity, stored)
    assert again is not None
    assert again.spec.model == model_deployment.spec.model
    assert revisions.intent(again) == revisions.intent(model_deployment)
