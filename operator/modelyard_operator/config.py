"""The operator's own settings, read once from the environment by `__main__`.

Everything else gets this frozen value. Pure: takes a mapping, never reads `os.environ` itself.
"""

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from modelyard_operator import cachespec, errors, policyspec, spec

LOG_LEVELS = ("debug", "info", "warning", "error")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SIZE = re.compile(r"([1-9][0-9]*)(Mi|Gi|Ti)")
_SIZE_UNITS = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


class RuntimeClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What an administrator offers under one name.

    Attributes:
        image: what serves.
        formats: the model formats that the image can serve; none: nothing is promised, and the image is tried with any.
        allow_code: whether an artifact's own Python code may run there (`model.py`, MLflow's python_function).
        access_log: the share of requests that get a line in the model server's log.
        otlp_endpoint: the OpenTelemetry collector that gets a span of every request; empty: none.
        service_account_name: whom the pods run as, for an identity in the cloud; no token of Kubernetes is mounted.
        image_pull_secrets: Secrets of the pod's namespace with which the node pulls the image.
        pod_labels: labels of the pods, for what a webhook of the cloud's looks at.
    """

    image: str
    formats: tuple[spec.Format, ...] = ()
    allow_code: bool = False
    access_log: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    otlp_endpoint: Annotated[str, msgspec.Meta(pattern="^(https?://.+)?$")] = ""
    service_account_name: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    pod_labels: Mapping[str, str] = {}


class OperatorConfig(msgspec.Struct, frozen=True):
    """Settings of one operator process; the field's comment names its variable."""

    runtime_classes: Mapping[str, RuntimeClass]  # MODELYARD_RUNTIME_CLASSES
    watch_namespaces: tuple[str, ...] = ()  # MODELYARD_WATCH_NAMESPACES; empty: the whole cluster
    allowed_metadata_prefixes: tuple[str, ...] = ()  # MODELYARD_ALLOWED_METADATA_PREFIXES
    cluster_domain: str = "cluster.local"  # MODELYARD_CLUSTER_DOMAIN
    artifact_size_limit: str = "10Gi"  # MODELYARD_ARTIFACT_SIZE_LIMIT
    artifact_cache: cachespec.ArtifactCache = cachespec.ArtifactCache()  # MODELYARD_ARTIFACT_CACHE
    policy: policyspec.Policy = policyspec.Policy()  # MODELYARD_POLICY
    fetch: policyspec.Fetch = policyspec.Fetch()  # MODELYARD_FETCH
    workers: int = 8  # MODELYARD_WORKERS
    resync_seconds: float = (
        600.0  # MODELYARD_RESYNC_SECONDS: below one API call per resource and minute when idle
    )
    freshness_interval_seconds: float = 60.0  # MODELYARD_FRESHNESS_INTERVAL_SECONDS
    freshness_grace_seconds: float = 30.0  # MODELYARD_FRESHNESS_GRACE_SECONDS
    lease_namespace: str = ""  # MODELYARD_LEASE_NAMESPACE; empty only without leader election
    lease_name: str = "modelyard-operator"  # MODELYARD_LEASE_NAME
    health_port: int = 8081  # MODELYARD_HEALTH_PORT
    log_level: str = "info"  # MODELYARD_LOG_LEVEL

    @property
    def artifact_bytes(self) -> int:
        """The artifact size limit in bytes."""
        return size_in_bytes("MODELYARD_ARTIFACT_SIZE_LIMIT", self.artifact_size_limit)


def from_env(environment: Mapping[str, str]) -> OperatorConfig:
    """Give the settings that an environment describes; absent or empty variables keep their default.

    Raises:
        errors.ConfigInvalid: naming the variable, its value and what to write instead.
    """
    env = {key: value.strip() for key, value in environment.items() if value.strip()}
    default = OperatorConfig(runtime_classes={})
    parsed = OperatorConfig(
        runtime_classes=_runtime_classes(env),
        watch_namespaces=_namespaces(env),
        allowed_metadata_prefixes=_words(env, "MODELYARD_ALLOWED_METADATA_PREFIXES"),
        cluster_domain=env.get("MODELYARD_CLUSTER_DOMAIN", default.cluster_domain),
        artifact_size_limit=env.get("MODELYARD_ARTIFACT_SIZE_LIMIT", default.artifact_size_limit),
        artifact_cache=cachespec.read(env),
        policy=policyspec.read_policy(env),
        fetch=policyspec.read_fetch(env),
        workers=int(_number(env, "MODELYARD_WORKERS", default.workers, (1, 100))),
        resync_seconds=_number(env, "MODELYARD_RESYNC_SECONDS", default.resync_seconds, (1, 86400)),
        freshness_interval_seconds=_number(
            env, "MODELYARD_FRESHNESS_INTERVAL_SECONDS", default.freshness_interval_seconds, (1, 3600)
        ),
        freshness_grace_seconds=_number(
            env, "MODELYARD_FRESHNESS_GRACE_SECONDS", default.freshness_grace_seconds, (1, 3600)
        ),
        lease_namespace=_lease_namespace(env),
        lease_name=_name(env, "MODELYARD_LEASE_NAME", default.lease_name),
        health_port=int(_number(env, "MODELYARD_HEALTH_PORT", default.health_port, (0, 65535))),
        log_level=_choice(env, "MODELYARD_LOG_LEVEL", default.log_level, LOG_LEVELS),
    )
    size_in_bytes("MODELYARD_ARTIFACT_SIZE_LIMIT", parsed.artifact_size_limit)
    return parsed


def size_in_bytes(variable: str, text: str) -> int:
    """Give the bytes of a size such as 10Gi.

    Raises:
        errors.ConfigInvalid: naming `variable`.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise errors.ConfigInvalid(
            f"{variable}={text!r}: write a whole number with Mi, Gi or Ti, for example 10Gi."
        )
    return int(match[1]) * _SIZE_UNITS[match[2]]


def _runtime_classes(env: Mapping[str, str]) -> Mapping[str, RuntimeClass]:
    variable = "MODELYARD_RUNTIME_CLASSES"
    example = '{"default": {"image": "registry.example/modelyard/runtime:1.0"}}'
    try:
        classes = msgspec.json.decode(env.get(variable, ""), type=dict[str, RuntimeClass])
    except msgspec.DecodeError as error:
        raise errors.ConfigInvalid(
            f"{variable}: {error}. Write a JSON object, for example {example}"
        ) from error
    if not classes or not all(runtime_class.image for runtime_class in classes.values()):
        raise errors.ConfigInvalid(
            f"{variable}: every class needs an image, and there must be one. Example: {example}"
        )
    return classes


def _namespaces(env: Mapping[str, str]) -> tuple[str, ...]:
    names = _words(env, "MODELYARD_WATCH_NAMESPACES")
    wrong = [name for name in names if not _DNS_LABEL.fullmatch(name)]
    if wrong:
        raise errors.ConfigInvalid(
            f"MODELYARD_WATCH_NAMESPACES: {wrong[0]!r} is no namespace name. "
            "Write names separated by commas; leave it empty for the whole cluster."
        )
    return names


def _lease_namespace(env: Mapping[str, str]) -> str:
    """Give the namespace of the Lease, or nothing when this operator is alone by its user's word."""
    if _choice(env, "MODELYARD_LEADER_ELECTION", "true", ("true", "false")) == "false":
        return ""
    if "MODELYARD_LEASE_NAMESPACE" not in env:
        raise errors.ConfigInvalid(
            "MODELYARD_LEADER_ELECTION: operators elect a leader by a Lease, and there is no namespace for it. Set"
            " MODELYARD_LEASE_NAMESPACE (in a pod: to its own), or MODELYARD_LEADER_ELECTION=false when no other"
            " operator can be running."
        )
    return _name(env, "MODELYARD_LEASE_NAMESPACE", "")


def _name(env: Mapping[str, str], variable: str, default: str) -> str:
    name = env.get(variable, default)
    if not _DNS_LABEL.fullmatch(name):
        raise errors.ConfigInvalid(f"{variable}={name!r}: write a name of a-z, 0-9 and '-', at most 63 long.")
    return name


def _words(env: Mapping[str, str], variable: str) -> tuple[str, ...]:
    stripped = (word.strip() for word in env.get(variable, "").split(","))
    return tuple(dict.fromkeys(word for word in stripped if word))


def _number(env: Mapping[str, str], variable: str, default: float, limits: tuple[float, float]) -> float:
    text = env.get(variable)
    if text is None:
        return default
    try:
        value = float(text) if isinstance(default, float) else int(text)
    except ValueError:
        value = limits[0] - 1
    if not limits[0] <= value <= limits[1]:
        raise errors.ConfigInvalid(
            f"{variable}={text!r}: write a number from {limits[0]:g} to {limits[1]:g}."
        )
    return value


def _choice(env: Mapping[str, str], variable: str, default: str, choices: tuple[str, ...]) -> str:
    value = env.get(variable, default)
    if value not in choices:
        raise errors.ConfigInvalid(f"{variable}={value!r}: write one of {', '.join(choices)}.")
    return value
