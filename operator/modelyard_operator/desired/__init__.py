"""What should be there: one builder per kind of child, each a function from frozen input to a fresh manifest.

`children` is called by `reconciler`; its result goes to `plan`. Every manifest holds all fields that we have an
opinion on, and none that somebody else owns: `spec.replicas` is absent while an autoscaler decides it. Pure; builders
never see what is in the cluster, except for the one bit that a Deployment has to be created.
"""

from modelyard_operator import api
from modelyard_operator.desired import autoscaler, deployment, disruption, service
from modelyard_operator.objects import Kind, Manifest


def children(
    model_deployment: api.ModelDeployment, template: Manifest, *, creating: bool
) -> dict[Kind, Manifest]:
    """Give the children that a ModelDeployment wants, its revision's pod template as stored."""
    wanted = {
        Kind.SERVICE: service.build(model_deployment),
        Kind.DEPLOYMENT: deployment.build(model_deployment, template, creating=creating),
    }
    if model_deployment.spec.autoscaling is not None:
        wanted[Kind.AUTOSCALER] = autoscaler.build(
            model_deployment.identity, model_deployment.spec.autoscaling
        )
    if model_deployment.most_replicas > 1:
        wanted[Kind.DISRUPTION_BUDGET] = disruption.build(model_deployment)
    return wanted
