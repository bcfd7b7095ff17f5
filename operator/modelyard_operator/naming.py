"""Every name, label, annotation, field manager and environment key that reaches the cluster.

Read by all modules that build, find or compare objects, so that a string which others depend on exists once.
Pure constants and string functions; no other module of the operator is imported here.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

GROUP = "modelyard.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelDeployment"
PLURAL = "modeldeployments"
SINGULAR = "modeldeployment"
SHORT_NAME = "mdep"
CATEGORY = "modelyard"

# Field managers. Three, because each owns other fields: the children, a replica count on its way to an autoscaler
# (docs/adr/0004), and the status.
MANAGER = "modelyard"
HANDOVER_MANAGER = "modelyard-handover"
STATUS_MANAGER = "modelyard-status"

LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PART_OF = "app.kubernetes.io/part-of"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_REVISION = "modelyard.dev/revision"

# Marks on our own ControllerRevisions (docs/adr/0007).
MARK_READY = "modelyard.dev/ready"
MARK_FAILED = "modelyard.dev/failed"
MARK_LOCK = "modelyard.dev/lock"  # docs/adr/0014

APP_NAME = "modelyard-model"
APP = "modelyard"
COMPONENT = "model-server"

# What the watches ask the API server for: nothing but our own children reaches the operator.
CHILD_SELECTOR = f"{LABEL_MANAGED_BY}={APP}"

FETCH = "fetch"  # the init container: has the credentials, writes the artifact
PREPARE = (
    "prepare"  # the second init container: has the artifact and nothing else, makes the model fast to serve
)
SERVE = "serve"  # the serving container: has the artifact, read-only, and nothing else
HTTP_PORT_NAME = "http"
HTTP_PORT = 8080
DEFAULT_PORTS = {"http": 80, "https": 443}  # of the Service, by its appProtocol
ARTIFACT_VOLUME = "artifact"
ARTIFACT_DIR = "/mnt/artifact"
TMP_VOLUME = "tmp"
TMP_DIR = "/tmp"  # noqa: S108 - a mount path inside the pod, backed by an emptyDir of its own
CREDENTIALS_VOLUME = "credentials"
CREDENTIALS_DIR = "/mnt/credentials"
TOKENS_VOLUME = "tokens"
TOKENS_DIR = "/mnt/tokens"
TLS_VOLUME = "tls"
TLS_DIR = "/mnt/tls"
CACHE_VOLUME = "cache"
CACHE_DIR = "/mnt/cache"
SIGNATURE_KEY_VOLUME = "signature-key"
SIGNATURE_KEY_DIR = "/mnt/signature-key"
CLAIM_DIR = "/mnt/claim"
IMAGE_DIR = "/mnt/image"
TERMINATION_MESSAGE_PATH = "/dev/termination-log"

ENV_MODEL_URI = "MODELYARD_MODEL_URI"
ENV_MODEL_DIGEST = "MODELYARD_MODEL_DIGEST"
ENV_LOCKED_DIGEST = "MODELYARD_LOCKED_DIGEST"
ENV_MODEL_NAME = "MODELYARD_MODEL_NAME"
ENV_MODEL_FORMAT = "MODELYARD_MODEL_FORMAT"
ENV_MAX_ARTIFACT_BYTES = "MODELYARD_MAX_ARTIFACT_BYTES"
ENV_CREDENTIALS_DIR = "MODELYARD_CREDENTIALS_DIR"
ENV_CREDENTIALS_SECRET = "MODELYARD_CREDENTIALS_SECRET"  # noqa: S105 - the name of a variable that holds a name
ENV_CACHE_DIR = "MODELYARD_CACHE_DIR"
ENV_CACHE_BYTES = "MODELYARD_CACHE_BYTES"
ENV_CACHE_SCOPE = "MODELYARD_CACHE_SCOPE"
ENV_SIGNATURE_KEY_DIR = "MODELYARD_SIGNATURE_KEY_DIR"
ENV_SIGNATURE_KEY = "MODELYARD_SIGNATURE_KEY"
ENV_SIGNATURE_URI = "MODELYARD_SIGNATURE_URI"
ENV_ARTIFACT_DIR = "MODELYARD_ARTIFACT_DIR"
ENV_ALLOWED_URIS = "MODELYARD_ALLOWED_URIS"
ENV_ALLOWED_FORMATS = "MODELYARD_ALLOWED_FORMATS"
ENV_ALLOWED_ADDRESSES = "MODELYARD_ALLOWED_ADDRESSES"
ENV_REQUIRE_DIGEST = "MODELYARD_REQUIRE_DIGEST"
ENV_REQUIRE_SIGNATURE = "MODELYARD_REQUIRE_SIGNATURE"
ENV_ALLOWED_SIGNATURE_KEYS = "MODELYARD_ALLOWED_SIGNATURE_KEYS"
ENV_PICKLE_RULE = "MODELYARD_PICKLE_RULE"
ENV_CA_BUNDLE = "MODELYARD_CA_BUNDLE"
ENV_HTTPS_PROXY = "MODELYARD_HTTPS_PROXY"
ENV_NO_PROXY = "MODELYARD_NO_PROXY"
ENV_FILE_ROOTS = "MODELYARD_FILE_ROOTS"
ENV_POD_IDENTITY = "MODELYARD_POD_IDENTITY"
ENV_PORT = "MODELYARD_PORT"
ENV_DRAIN_SECONDS = "MODELYARD_DRAIN_SECONDS"
ENV_LOG_LEVEL = "MODELYARD_LOG_LEVEL"
ENV_ACCELERATE = "MODELYARD_ACCELERATE"
ENV_VERSION_POLICY = "MODELYARD_VERSION_POLICY"
ENV_TRIAL_SECONDS = "MODELYARD_TRIAL_SECONDS"
ENV_ALLOW_CODE = "MODELYARD_ALLOW_CODE"
ENV_ACCESS_LOG = "MODELYARD_ACCESS_LOG"
ENV_OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
ENV_WORKERS = "MODELYARD_WORKERS"
ENV_BATCH_MAX_SIZE = "MODELYARD_BATCH_MAX_SIZE"
ENV_SAMPLES = "MODELYARD_SAMPLES"
ENV_SAMPLES_URI = "MODELYARD_SAMPLES_URI"
ENV_TOKENS_DIR = "MODELYARD_TOKENS_DIR"
ENV_TLS_DIR = "MODELYARD_TLS_DIR"
ENV_CLIENT_CERTIFICATES = "MODELYARD_CLIENT_CERTIFICATES"
ENV_TERMINATION_MESSAGE_PATH = "MODELYARD_TERMINATION_MESSAGE_PATH"

# The keys of a lock: a ConfigMap that the pods of a revision read (docs/adr/0014).
LOCK_DIGEST = "digest"
LOCK_FORMAT = "format"

# Webhooks that give pods an identity in a cloud would give it to each container; only `fetch` has a use for it.
IDENTITY_FOR_FETCH_ONLY: Mapping[str, str] = {
    "eks.amazonaws.com/skip-containers": f"{PREPARE},{SERVE}",
    "azure.workload.identity/skip-containers": f"{PREPARE};{SERVE}",
}

NAME_MAX = 63  # a Service's name is a DNS label
_HASH_LENGTH = 10


def revision_name(name: str, intent_hash: str) -> str:
    """Give the name of a revision: what a label value can carry, however long the resource's name is."""
    head = name[: NAME_MAX - _HASH_LENGTH - 1].rstrip("-")
    return f"{head}-{intent_hash[:_HASH_LENGTH]}"


def lock_name(revision: str) -> str:
    """Give the name of the ConfigMap that a revision's pods read their digest from."""
    return f"{revision}-lock"


def source_volume(number: int) -> str:
    """Give the name of a volume that holds an artifact already: there is one for the model, or one for its samples."""
    return f"source-{number}"


def claim_path(claim: str) -> str:
    """Give where `fetch` has a PersistentVolumeClaim."""
    return f"{CLAIM_DIR}/{claim}"


def image_path(reference: str) -> str:
    """Give where `fetch` has an image; a mount path can't hold all that a reference may."""
    return f"{IMAGE_DIR}/{hashlib.sha256(reference.encode()).hexdigest()[:16]}"


def selector_labels(name: str) -> dict[str, str]:
    """Give the two labels that select the pods of a ModelDeployment; selectors are immutable, so no more than these."""
    return {LABEL_NAME: APP_NAME, LABEL_INSTANCE: name}


def child_labels(name: str) -> dict[str, str]:
    """Give the labels that every child carries."""
    return {**selector_labels(name), LABEL_MANAGED_BY: APP, LABEL_PART_OF: APP, LABEL_COMPONENT: COMPONENT}


def selector_text(name: str) -> str:
    """Give the same selector as a query string, as the scale subresource and LIST calls want it."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector_labels(name).items()))


def service_url(name: str, namespace: str, port: Mapping[str, Any], cluster_domain: str) -> str:
    """Give the address of a model inside the cluster; `port` is its Service's."""
    host, number = f"{name}.{namespace}.svc.{cluster_domain}", port["port"]
    scheme = port.get("appProtocol", "http")
    return f"{scheme}://{host}" if number == DEFAULT_PORTS.get(scheme) else f"{scheme}://{host}:{number}"
