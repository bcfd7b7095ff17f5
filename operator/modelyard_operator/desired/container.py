"""The containers of a pod: `fetch`, `prepare` and `serve`, one image, each with no more than it needs.

Called by `desired.pod`. `fetch` has the credentials and the network and writes the artifact. `prepare` has the artifact
and neither: it may load what it doesn't trust, and makes the model fast to serve. `serve` has the artifact read-only.
Pure.
"""

from collections.abc import Mapping
from typing import Any

from modelyard_operator import api, config, naming, quantities, runtimespec, spec, validationspec
from modelyard_operator.desired import cache, restrictions, signing, sources

PRE_STOP_SECONDS = 5  # endpoints need a moment to forget the pod; until then it serves as before
DEFAULT_REQUESTS: Mapping[str, int | str] = {"cpu": "100m", "memory": "256Mi"}
DEFAULT_LIMITS: Mapping[str, int | str] = {"memory": "1Gi"}

_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_TMP_MOUNT = {"name": naming.TMP_VOLUME, "mountPath": naming.TMP_DIR}
_ARTIFACT_MOUNT = {"name": naming.ARTIFACT_VOLUME, "mountPath": naming.ARTIFACT_DIR}


def build_fetch(
    model_deployment: api.ModelDeployment, offer: config.RuntimeClass, settings: config.OperatorConfig
) -> dict[str, Any]:
    """Give the init container that brings the artifact to the pod."""
    model, checks = model_deployment.spec.model, model_deployment.spec.validation
    env = {naming.ENV_MODEL_URI: model.uri}
    if model.digest:
        env[naming.ENV_MODEL_DIGEST] = model.digest
    env |= _format(model_deployment)
    env[naming.ENV_MAX_ARTIFACT_BYTES] = str(settings.artifact_bytes)
    if checks.samples_uri:
        env[naming.ENV_SAMPLES_URI] = checks.samples_uri
    env |= restrictions.of_fetch(model_deployment, offer, settings)
    env |= signing.env(model) | cache.env(model_deployment, settings.artifact_cache)
    mounts: list[dict[str, Any]] = [_ARTIFACT_MOUNT, _TMP_MOUNT, *sources.mounts(model_deployment.spec)]
    mounts += signing.mounts(model) + cache.mounts(settings.artifact_cache)
    if model.credentials is not None:
        # Files: an environment is in the process list, and a key of the Secret could set LD_PRELOAD there.
        env[naming.ENV_CREDENTIALS_DIR] = naming.CREDENTIALS_DIR
        env[naming.ENV_CREDENTIALS_SECRET] = model.credentials.secret_name
        mounts.append(
            {"name": naming.CREDENTIALS_VOLUME, "mountPath": naming.CREDENTIALS_DIR, "readOnly": True}
        )
    return {**_build(model_deployment, naming.FETCH, offer.image, env), "volumeMounts": mounts}


def build_prepare(
    model_deployment: api.ModelDeployment, offer: config.RuntimeClass, settings: config.OperatorConfig
) -> dict[str, Any]:
    """Give the init container that tries the model and makes it fast to serve, once for all restarts of `serve`."""
    env = {**_format(model_deployment), **_loading(model_deployment, offer)}
    env |= restrictions.of_loading(model_deployment, settings)
    container = _build(model_deployment, naming.PREPARE, offer.image, env)
    container["volumeMounts"] = [_ARTIFACT_MOUNT, _TMP_MOUNT]
    return container


def build_serve(
    model_deployment: api.ModelDeployment, offer: config.RuntimeClass, settings: config.OperatorConfig
) -> dict[str, Any]:
    """Give the container that answers predictions."""
    runtime, access = model_deployment.spec.runtime, model_deployment.spec.access
    env = {naming.ENV_MODEL_NAME: model_deployment.model_name, **_format(model_deployment)}
    env[naming.ENV_PORT] = str(naming.HTTP_PORT)
    env[naming.ENV_DRAIN_SECONDS] = str(model_deployment.spec.pod.drain_seconds)
    env |= _loading(model_deployment, offer) | restrictions.of_loading(model_deployment, settings)
    if runtime.workers != 1:
        env[naming.ENV_WORKERS] = str(runtime.workers)
    if runtime.batching.max_size != runtimespec.Batching().max_size:
        env[naming.ENV_BATCH_MAX_SIZE] = str(runtime.batching.max_size)
    if offer.access_log:
        env[naming.ENV_ACCESS_LOG] = str(offer.access_log)
    if offer.otlp_endpoint:
        env[naming.ENV_OTLP_ENDPOINT] = offer.otlp_endpoint
    mounts = [{**_ARTIFACT_MOUNT, "readOnly": True}, _TMP_MOUNT]
    if access.tokens:
        env[naming.ENV_TOKENS_DIR] = naming.TOKENS_DIR
        mounts.append({"name": naming.TOKENS_VOLUME, "mountPath": naming.TOKENS_DIR, "readOnly": True})
    if access.tls:
        env[naming.ENV_TLS_DIR] = naming.TLS_DIR
        if access.tls.client_certificates != "Ignore":
            env[naming.ENV_CLIENT_CERTIFICATES] = access.tls.client_certificates
        mounts.append({"name": naming.TLS_VOLUME, "mountPath": naming.TLS_DIR, "readOnly": True})
    return {
        **_build(model_deployment, naming.SERVE, offer.image, env),
        "ports": [{"name": naming.HTTP_PORT_NAME, "containerPort": naming.HTTP_PORT, "protocol": "TCP"}],
        **_probes("HTTPS" if access.tls else "HTTP"),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "volumeMounts": mounts,
    }


def with_lock(container: dict[str, Any], revision: str) -> dict[str, Any]:
    """Give a container that reads, when it is started, which bytes its revision is locked to, once that is known."""
    lock = {"name": naming.lock_name(revision), "key": naming.LOCK_DIGEST, "optional": True}
    variable = {"name": naming.ENV_LOCKED_DIGEST, "valueFrom": {"configMapKeyRef": lock}}
    return {**container, "env": [*container["env"], variable]}


def _probes(scheme: str) -> dict[str, Any]:
    port = {"port": naming.HTTP_PORT_NAME} | ({"scheme": scheme} if scheme != "HTTP" else {})
    ready, alive = {"httpGet": {"path": "/readyz", **port}}, {"httpGet": {"path": "/livez", **port}}
    return {
        # Loading may take ten minutes and is looked at every second, so that a small model is ready in a few.
        "startupProbe": {**ready, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 600},
        "readinessProbe": {**ready, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 2},
        # A restart cures only a dead event loop, so it is the last resort: a minute without an answer.
        "livenessProbe": {**alive, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6},
    }


def _format(model_deployment: api.ModelDeployment) -> dict[str, str]:
    asked = model_deployment.spec.model.format
    return {naming.ENV_MODEL_FORMAT: asked} if asked else {}


def _loading(model_deployment: api.ModelDeployment, offer: config.RuntimeClass) -> dict[str, str]:
    """Give what both need that load the model: which engine, versions and code may serve, what it must answer."""
    runtime, samples = model_deployment.spec.runtime, model_deployment.spec.validation.samples
    env: dict[str, str] = {naming.ENV_ACCELERATE: runtime.accelerate}
    if runtime.version_policy != "Warn":
        env[naming.ENV_VERSION_POLICY] = runtime.version_policy
    if runtime.trial_seconds != runtimespec.Runtime().trial_seconds:
        env[naming.ENV_TRIAL_SECONDS] = str(runtime.trial_seconds)
    if offer.allow_code:
        env[naming.ENV_ALLOW_CODE] = "true"
    if samples:
        env[naming.ENV_SAMPLES] = validationspec.encoded(samples)
    return env


def _build(
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
        "securityContext": dict(_SECURITY),
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
