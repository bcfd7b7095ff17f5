"""The pod template of a revision: init containers that fetch and prepare, one container that serves.

`render` is called once in the life of a revision, by `reconciler`; afterwards the stored template is used. What each
container gets is decided in `desired.container`. Every pod passes Pod Security "restricted". Pure.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from modelyard_operator import api, catalogue, config, errors, naming, podspec, spec, validationspec
from modelyard_operator.desired import cache, container, signing, sources
from modelyard_operator.objects import Manifest

USER_ID = 10001
EXIT_SECONDS = 5  # what the process may take to end after it has drained
TMP_SIZE_LIMIT = "64Mi"

_POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "fsGroup": USER_ID,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def render(model_deployment: api.ModelDeployment, revision: str, settings: config.OperatorConfig) -> Manifest:
    """Give the pod template of a new revision.

    Raises:
        errors.Stalled: RuntimeClassUnknown, FormatNotOffered or MetadataNotAllowed, when the administrator offers no
            such thing; SpecInvalid, when the samples are too large.
    """
    offer = catalogue.choose(model_deployment, settings)
    pod = model_deployment.spec.pod
    check_metadata("spec.pod.labels", pod.labels, settings)
    check_metadata("spec.pod.annotations", pod.annotations, settings)
    _check_samples(model_deployment.spec.validation)
    name = model_deployment.identity.name
    metadata: dict[str, Any] = {
        "labels": {
            **offer.pod_labels,
            **pod.labels,
            **naming.child_labels(name),
            naming.LABEL_REVISION: revision,
        }
    }
    annotations = {**pod.annotations}
    if offer.service_account_name:
        annotations |= naming.IDENTITY_FOR_FETCH_ONLY
    if annotations:
        metadata["annotations"] = annotations
    init_containers = _init_containers(model_deployment, offer, settings)
    serve = container.build_serve(model_deployment, offer, settings)
    if not model_deployment.spec.model.digest:
        init_containers[0] = container.with_lock(init_containers[0], revision)
        serve = container.with_lock(serve, revision)
    body = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": dict(_POD_SECURITY),
        "terminationGracePeriodSeconds": container.PRE_STOP_SECONDS + pod.drain_seconds + EXIT_SECONDS,
        "initContainers": init_containers,
        "containers": [serve],
        "volumes": _volumes(model_deployment.spec, settings),
    }
    body |= _identity(offer) | _placement(name, pod)
    return {"metadata": metadata, "spec": sources.with_pull_secrets(body, model_deployment.spec)}


def check_metadata(field: str, keys: Iterable[str], settings: config.OperatorConfig) -> None:
    """Refuse keys under prefixes that the administrator hasn't allowed.

    A label of the author's choice could join another Service or wake a sidecar injector; an annotation could too.

    Raises:
        errors.Stalled: MetadataNotAllowed, naming the field and what is allowed.
    """
    allowed = settings.allowed_metadata_prefixes
    for key in keys:
        if not key.startswith(allowed or ("\0",)):
            offered = (
                f"allowed are keys that start with {', '.join(allowed)}" if allowed else "none is allowed"
            )
            raise errors.Stalled(
                "MetadataNotAllowed",
                f"{field}: {key} is not allowed ({offered}). Remove it, or ask the administrator to add its prefix to"
                " allowedMetadataPrefixes in the chart's values.",
            )


def _check_samples(checks: validationspec.Validation) -> None:
    """Refuse samples that no environment variable can carry; a rule of the schema can't measure them."""
    size = len(validationspec.encoded(checks.samples).encode())
    if size > validationspec.MAX_BYTES:
        raise errors.Stalled(
            "SpecInvalid",
            f"spec.validation.samples: {size} bytes as JSON are more than {validationspec.MAX_BYTES}. Put them into a"
            " file beside the artifact and name it in spec.validation.samplesURI.",
        )


def _init_containers(
    model_deployment: api.ModelDeployment, offer: config.RuntimeClass, settings: config.OperatorConfig
) -> list[dict[str, Any]]:
    # `prepare` also where nothing is to be accelerated: it tries the model, with limits, before `serve` loads it.
    return [
        container.build_fetch(model_deployment, offer, settings),
        container.build_prepare(model_deployment, offer, settings),
    ]


def _volumes(asked: spec.Spec, settings: config.OperatorConfig) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [
        {"name": naming.ARTIFACT_VOLUME, "emptyDir": {"sizeLimit": settings.artifact_size_limit}},
        {"name": naming.TMP_VOLUME, "emptyDir": {"sizeLimit": TMP_SIZE_LIMIT}},
    ]
    volumes += sources.volumes(asked)
    volumes += signing.volumes(asked.model) + cache.volumes(settings.artifact_cache)
    access, credentials = asked.access, asked.model.credentials
    if credentials:
        volumes.append(_secret(naming.CREDENTIALS_VOLUME, credentials.secret_name))
    if access.tokens:
        volumes.append(_secret(naming.TOKENS_VOLUME, access.tokens.secret_name))
    if access.tls:
        volumes.append(_secret(naming.TLS_VOLUME, access.tls.secret_name))
    return volumes


def _secret(name: str, secret_name: str) -> dict[str, Any]:
    # Optional, so that the pod starts and the runtime itself says what is missing; it doesn't serve without it.
    return {"name": name, "secret": {"secretName": secret_name, "optional": True, "defaultMode": 0o440}}


def _identity(offer: config.RuntimeClass) -> dict[str, Any]:
    identity: dict[str, Any] = {}
    if offer.service_account_name:
        identity["serviceAccountName"] = offer.service_account_name
    if offer.image_pull_secrets:
        identity["imagePullSecrets"] = [{"name": name} for name in offer.image_pull_secrets]
    return identity


def _placement(name: str, pod: podspec.Pod) -> dict[str, Any]:
    placement: dict[str, Any] = {}
    if pod.node_selector:
        placement["nodeSelector"] = dict(pod.node_selector)
    if pod.tolerations:
        placement["tolerations"] = msgspec.to_builtins(pod.tolerations)
    if pod.topology_spread:
        placement["topologySpreadConstraints"] = [
            {
                "topologyKey": constraint.topology_key,
                "maxSkew": constraint.max_skew,
                "whenUnsatisfiable": constraint.when_unsatisfiable,
                "labelSelector": {"matchLabels": naming.selector_labels(name)},
            }
            for constraint in pod.topology_spread
        ]
    return placement
