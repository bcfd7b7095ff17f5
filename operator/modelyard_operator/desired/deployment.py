"""The Deployment that runs a revision's pod template. Pure."""

from collections.abc import Mapping
from typing import Any

from modelyard_operator import api, naming
from modelyard_operator.desired import meta
from modelyard_operator.objects import Kind, Manifest

REPLICA_SETS_KEPT = 3  # our own history is in the ControllerRevisions
_STRATEGIES: Mapping[str, dict[str, Any]] = {
    # The old pods go only when new ones are ready: an update never serves with fewer pods than before.
    "Rolling": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
    "Recreate": {"type": "Recreate"},
}


def build(model_deployment: api.ModelDeployment, template: Manifest, *, creating: bool) -> Manifest:
    """Give the Deployment; with autoscaling it names a number of replicas only when it has to be created.

    A Deployment created without one would start with a single pod, whatever the autoscaler's minimum.
    """
    rollout = model_deployment.spec.rollout
    body: dict[str, Any] = {
        "selector": {"matchLabels": naming.selector_labels(model_deployment.identity.name)},
        "strategy": _STRATEGIES[rollout.strategy],
        "progressDeadlineSeconds": rollout.progress_deadline_seconds,
        "revisionHistoryLimit": REPLICA_SETS_KEPT,
        "template": template,
    }
    if creating or model_deployment.spec.autoscaling is None:
        body["replicas"] = model_deployment.fewest_replicas
    return {
        "apiVersion": Kind.DEPLOYMENT.api_version,
        "kind": Kind.DEPLOYMENT.kind,
        "metadata": meta.build(model_deployment.identity),
        "spec": body,
    }
