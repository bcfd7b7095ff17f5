"""The ControllerRevision that keeps what a revision asked for and the pod template it was rendered into. Pure."""

import copy

from modelyard_operator import api, revisions
from modelyard_operator.desired import meta
from modelyard_operator.objects import Kind, Manifest


def build(model_deployment: api.ModelDeployment, template: Manifest, number: int) -> Manifest:
    """Give the ControllerRevision; its data can never change, its number is its place in the history."""
    name = revisions.name(model_deployment)
    return {
        "apiVersion": Kind.CONTROLLER_REVISION.api_version,
        "kind": Kind.CONTROLLER_REVISION.kind,
        "metadata": meta.build(model_deployment.identity, name),
        "data": {"intent": revisions.intent(model_deployment), "template": copy.deepcopy(template)},
        "revision": number,
    }


def stored_template(controller_revision: Manifest) -> Manifest:
    """Give a copy of the pod template that a ControllerRevision keeps."""
    template: Manifest = copy.deepcopy(controller_revision["data"]["template"])
    return template
