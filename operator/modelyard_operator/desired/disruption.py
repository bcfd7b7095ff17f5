"""The PodDisruptionBudget of a model that can have more than one pod. Pure."""

from modelyard_operator import api, naming
from modelyard_operator.desired import meta
from modelyard_operator.objects import Kind, Manifest


def build(model_deployment: api.ModelDeployment) -> Manifest:
    """Give the PodDisruptionBudget: a node may be drained, one pod of a model at a time."""
    return {
        "apiVersion": Kind.DISRUPTION_BUDGET.api_version,
        "kind": Kind.DISRUPTION_BUDGET.kind,
        "metadata": meta.build(model_deployment.identity),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": naming.selector_labels(model_deployment.identity.name)},
            # A pod that isn't ready serves nobody and must not keep a node from being drained.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
