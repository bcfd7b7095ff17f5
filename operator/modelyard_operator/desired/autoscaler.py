"""The HorizontalPodAutoscaler of a model. Pure."""

import copy
from typing import Any

from modelyard_operator import api, naming, spec
from modelyard_operator.desired import meta
from modelyard_operator.objects import Kind, Manifest

DEFAULT_CPU_UTILIZATION = 80


def build(identity: api.Identity, autoscaling: spec.Autoscaling) -> Manifest:
    """Give the HorizontalPodAutoscaler."""
    body: dict[str, Any] = {
        "scaleTargetRef": {
            "apiVersion": Kind.DEPLOYMENT.api_version,
            "kind": Kind.DEPLOYMENT.kind,
            "name": identity.name,
        },
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": _metrics(autoscaling),
    }
    if autoscaling.behavior is not None:
        body["behavior"] = copy.deepcopy(autoscaling.behavior)
    return {
        "apiVersion": Kind.AUTOSCALER.api_version,
        "kind": Kind.AUTOSCALER.kind,
        "metadata": meta.build(identity),
        "spec": body,
    }


def _metrics(autoscaling: spec.Autoscaling) -> list[dict[str, Any]]:
    utilization = autoscaling.target_cpu_utilization
    if utilization is None and not autoscaling.metrics:
        utilization = DEFAULT_CPU_UTILIZATION
    metrics = copy.deepcopy(autoscaling.metrics)
    if utilization is None:
        return metrics
    # Of the serving container alone: a sidecar that idles would halve the average, one that works would double it.
    cpu = {
        "container": naming.SERVE,
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": utilization},
    }
    return [{"type": "ContainerResource", "containerResource": cpu}, *metrics]
