"""The pod template of a revision: one init container that fetches, one container that serves.

`render` is called once in the life of a revision, by `reconciler`; afterwards the stored template is used. `fetch`
has the credentials and the network and writes the artifact; `serve` has the artifact read-only, no credentials and no
token. Every pod passes Pod Security "restricted". Pure.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from modelyard_operator import api, config, errors, naming, podspec, quantities, spec
from modelyard_operator.objects import Manifest

USER_ID = 10001
PRE_STOP_SECONDS = 5  # endpoints need a moment to forget the pod; until then it serves as before
EXIT_SECONDS = 5  # what the process may take to end after it has drained
TMP_SIZE_LIMIT = "64Mi"
DEFAULT_REQUESTS: Mapping[str, int | str] = {"cpu": "100m", "memory": "256Mi"}
DEFAULT_LIMITS: Mapping[str, int | str] = {"memory": "1Gi"}

_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
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
        errors.Stalled: RuntimeClassUnknown or MetadataNotAllowed, when the administrator offers no such thing.
    """
    image = _image(model_deployment.spec.runtime.class_, settings)
    pod = model_deployment.spec.pod
    check_metadata("spec.pod.labels", pod.labels, settings)
    check_metadata("spec.pod.annotations", pod.annotations, settings)
    name = model_deployment.identity.name
    metadata: dict[str, Any] = {
        "labels": {**pod.labels, **naming.child_labels(name), naming.LABEL_REVISION: revision}
    }
    if pod.annotations:
        metadata["annotations"] = dict(pod.annotations)
    body = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": dict(_POD_SECURITY),
        "terminationGracePeriodSeconds": PRE_STOP_SECONDS + pod.drain_seconds + EXIT_SECONDS,
        "initContainers": [_fetch(model_deployment, image, settings)],
        "containers": [_serve(model_deployment, image)],
        "volumes": [
            {"name": naming.ARTIFACT_VOLUME, "emptyDir": {"sizeLimit": settings.artifact_size_limit}},
            {"name": naming.TMP_VOLUME, "emptyDir": {"sizeLimit": TMP_SIZE_LIMIT}},
        ],
    }
    return {"metadata": metadata, "spec": body | _placement(name, pod)}


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


def _image(runtime_class: str, settings: config.OperatorConfig) -> str:
    if runtime_class not in settings.runtime_classes:
        known = ", ".join(sorted(settings.runtime_classes))
        raise errors.Stalled(
            "RuntimeClassUnknown",
            f"spec.runtime.class: there is no runtime class {runtime_class!r}. The administrator offers: {known}.",
        )
    return settings.runtime_classes[runtime_class].image


def _fetch(
    model_deployment: api.ModelDeployment, image: str, settings: config.OperatorConfig
) -> dict[str, Any]:
    model = model_deployment.spec.model
    env = {naming.ENV_MODEL_URI: model.uri}
    if model.digest:
        env[naming.ENV_MODEL_DIGEST] = model.digest
    if model.format:
        env[naming.ENV_MODEL_FORMAT] = model.format
    env[naming.ENV_MAX_ARTIFACT_BYTES] = str(settings.artifact_bytes)
    container = _container(model_deployment, naming.FETCH, image, env)
    if model.credentials is not None:
        # The prefix keeps a Secret from setting anything but credentials, LD_PRELOAD for example.
        source = {
            "prefix": naming.ENV_CREDENTIALS_PREFIX,
            "secretRef": {"name": model.credentials.secret_name},
        }
        container["envFrom"] = [source]
    container["volumeMounts"] = [
        {"name": naming.ARTIFACT_VOLUME, "mountPath": naming.ARTIFACT_DIR},
        {"name": naming.TMP_VOLUME, "mountPath": naming.TMP_DIR},
    ]
    return container


def _serve(model_deployment: api.ModelDeployment, image: str) -> dict[str, Any]:
    env = {naming.ENV_MODEL_NAME: model_deployment.model_name}
    if model_deployment.spec.model.format:
        env[naming.ENV_MODEL_FORMAT] = model_deployment.spec.model.format
    env[naming.ENV_PORT] = str(naming.HTTP_PORT)
    env[naming.ENV_DRAIN_SECONDS] = str(model_deployment.spec.pod.drain_seconds)
    ready = {"httpGet": {"path": "/readyz", "port": naming.HTTP_PORT_NAME}}
    alive = {"httpGet": {"path": "/livez", "port": naming.HTTP_PORT_NAME}}
    return {
        **_container(model_deployment, naming.SERVE, image, env),
        "ports": [{"name": naming.HTTP_PORT_NAME, "containerPort": naming.HTTP_PORT, "protocol": "TCP"}],
        # Loading may take ten minutes and is looked at every second, so that a small model is ready in a few.
        "startupProbe": {**ready, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 600},
        "readinessProbe": {**ready, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 2},
        # A restart cures only a dead event loop, so it is the last resort: a minute without an answer.
        "livenessProbe": {**alive, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6},
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "volumeMounts": [
            {"name": naming.ARTIFACT_VOLUME, "mountPath": naming.ARTIFACT_DIR, "readOnly": True},
            {"name": naming.TMP_VOLUME, "mountPath": naming.TMP_DIR},
        ],
    }


def _container(
    model_deployment: api.ModelDeployment, command: str, image: str, env: Mapping[str, str]
) -> dict[str, Any]:
    shared = {
        naming.ENV_ARTIFACT_DIR: naming.ARTIFACT_DIR,
        naming.ENV_LOG_LEVEL: model_deployment.spec.runtime.log_level,
    }
    return {
        "name": command,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [command],
        # The kubelet would put another variable's value in the place of $(NAME); doubled, a dollar sign is one.
        "env": [{"name": key, "value": value.replace("$", "$$")} for key, value in {**env, **shared}.items()],
        "resources": _resources(model_deployment.spec.resources),
        "securityContext": dict(_CONTAINER_SECURITY),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _resources(resources: spec.Resources) -> dict[str, dict[str, int | str]]:
    """Fill in the defaults, each bent to what the author set on the other side so that requests stay within limits."""
    requests = {**DEFAULT_REQUESTS, **resources.requests}
    limits = {**DEFAULT_LIMITS, **resources.limits}
    for key in requests.keys() & limits.keys():
        if (quantities.parse(requests[key]) or 0) > (quantities.parse(limits[key]) or 0):
            if key in resources.limits:
                requests[key] = limits[key]
            else:
                limits[key] = requests[key]
    return {"requests": requests, "limits": limits}


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
