"""The Service in front of a model's pods. Pure."""

from modelyard_operator import api, naming
from modelyard_operator.desired import meta
from modelyard_operator.objects import Kind, Manifest


def build(model_deployment: api.ModelDeployment) -> Manifest:
    """Give the Service."""
    service = model_deployment.spec.service
    metadata = meta.build(model_deployment.identity)
    if service.annotations:
        metadata["annotations"] = dict(service.annotations)
    port = {
        "name": naming.HTTP_PORT_NAME,
        "port": model_deployment.service_port,
        "targetPort": naming.HTTP_PORT_NAME,
        "protocol": "TCP",
        "appProtocol": model_deployment.scheme,
    }
    return {
        "apiVersion": Kind.SERVICE.api_version,
        "kind": Kind.SERVICE.kind,
        "metadata": metadata,
        "spec": {
            "type": service.type,
            "selector": naming.selector_labels(model_deployment.identity.name),
            "ports": [port],
        },
    }
