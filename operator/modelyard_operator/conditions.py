"""Condition types and reasons: the words in which the operator speaks to people and tools.

`status` is the only writer of conditions. Each reason is one cause, documented here and, from here, in
docs/reference/conditions.md (a test compares the two). Pure constants.
"""

from collections.abc import Mapping

AVAILABLE = "Available"
READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"

TYPES: Mapping[str, str] = {
    AVAILABLE: "Does something serve now? True while at least one pod is ready, of whichever revision.",
    READY: "Is everything that was asked for in observedGeneration rolled out and available?",
    RECONCILING: "Present, and True, only while the operator is on its way; reason and message say where.",
    STALLED: "Present, and True, only while nothing but your help gets further; reason and message say how.",
}

# Reasons of Available
PODS_READY = "PodsReady"
NO_POD_READY = "NoPodReady"
STOPPED = "Stopped"

# Reasons of Ready that are not also reasons of Reconciling or Stalled
ROLLED_OUT = "RolledOut"
PAUSED = "Paused"

# Reasons of Reconciling
OBSERVING = "Observing"
ROLLING_OUT = "RollingOut"
PODS_NOT_READY = "PodsNotReady"
STOPPING = "Stopping"
WAITING_FOR_DELETION = "WaitingForDeletion"
CLUSTER_ERROR = "ClusterError"

# Reasons of Stalled that come from the resource and its surroundings
SPEC_INVALID = "SpecInvalid"
NAME_TAKEN = "NameTaken"
METADATA_NOT_ALLOWED = "MetadataNotAllowed"
RUNTIME_CLASS_UNKNOWN = "RuntimeClassUnknown"
FORMAT_NOT_OFFERED = "FormatNotOffered"
CHILD_REJECTED = "ChildRejected"
PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
ROLLED_BACK = "RolledBack"

# Failures of a revision's pods, seen by the operator from outside
OUT_OF_MEMORY = "OutOfMemory"
CRASH_LOOP = "CrashLoop"
IMAGE_PULL_FAILED = "ImagePullFailed"
UNSCHEDULABLE = "Unschedulable"
QUOTA_EXCEEDED = "QuotaExceeded"
POD_REFUSED = "PodRefused"
POD_EVICTED = "PodEvicted"
ROLLOUT_DEADLOCKED = "RolloutDeadlocked"
VOLUME_CLAIM_MISSING = "VolumeClaimMissing"
CONTAINER_NOT_STARTED = "ContainerNotStarted"
PROBE_FAILED = "ProbeFailed"

# Failures in the runtime's own words: the closed list shared with it (docs/reference/runtime-reasons.md)
FETCH_FAILED = "FetchFailed"
SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, no secret
INTERNAL_ERROR = "InternalError"
RUNTIME_FAILURES: Mapping[str, str] = {
    "SettingsInvalid": "The model server was started with settings it can't use.",
    "UriUnsupported": "The artifact's URI has a scheme or form that the runtime can't fetch.",
    "ArtifactNotFound": "There is nothing at spec.model.uri.",
    "AccessDenied": "The credentials were refused, or there were none.",
    FETCH_FAILED: "Network, TLS, DNS or the server failed while the artifact was fetched; it is tried again.",
    "ArtifactTooLarge": "The artifact is larger than the administrator allows.",
    "DigestMismatch": "The artifact's bytes are not those that spec.model.digest names.",
    "FormatUnknown": "The artifact's format is neither given nor recognised, or the runtime class's image lacks it.",
    "LoadFailed": "The artifact could not be loaded as a model.",
    "VersionMismatch": "Another version of its library wrote the model, and spec.runtime.versionPolicy is Refuse.",
    "WarmupFailed": "The model was loaded but did not answer.",
    "SampleMismatch": "The model answered one of spec.validation's samples wrongly.",
    "AddressRefused": "The artifact's server, or one it redirects to, has an address that isn't allowed.",
    "ArchiveRefused": "The archive holds what could write outside its folder or fill the disk.",
    "DigestChanged": "The artifact's bytes are not those that this revision's first pod loaded.",
    "LimitExceeded": "The model took more memory or time to load than a pod may give; it was stopped in its trial.",
    "PickleRefused": "The pickle names something that the pickle rule doesn't allow; nothing of it was run.",
    "PolicyViolation": "A rule of the administrator's policy forbids it; the message names the rule.",
    SECRET_MISSING: "A Secret that the pod needs does not exist or lacks a key.",
    "SignatureInvalid": "The artifact has no signature by the key that is asked for, or one of other bytes.",
    INTERNAL_ERROR: "The runtime failed in a way it did not foresee; its log says more.",
}

POD_FAILURES: Mapping[str, str] = {
    OUT_OF_MEMORY: "A container used more memory than its limit and was killed.",
    CRASH_LOOP: "A container ends again and again without telling a reason; the message holds its last log lines.",
    IMAGE_PULL_FAILED: "The runtime image, or an image that is mounted as the model, can't be pulled.",
    UNSCHEDULABLE: "No node can take the pod; the message says which resource is short or what doesn't fit.",
    ROLLOUT_DEADLOCKED: "The old pods hold what the new one needs (the only GPU, say) and go only when it is ready."
    " spec.rollout.strategy: Recreate stops them first.",
    VOLUME_CLAIM_MISSING: "A PersistentVolumeClaim that the pod needs does not exist.",
    QUOTA_EXCEEDED: "The namespace's quota leaves no room for the pod; the message has the numbers.",
    POD_REFUSED: "The API server refused the pod, for example by a policy of the namespace.",
    POD_EVICTED: "The node threw the pod out, because memory or disk ran short.",
    CONTAINER_NOT_STARTED: "The node can't start a container; the message has its words.",
    PROBE_FAILED: "The container runs and never gets ready, or was restarted because its startup probe failed.",
}

_FAILURES: Mapping[str, str] = {**RUNTIME_FAILURES, **POD_FAILURES}

# What may pass without anybody's help, and is therefore Reconciling until the progress deadline and Stalled after it.
# Everything else that makes pods fail is Stalled at once.
MAY_PASS = frozenset(
    {
        FETCH_FAILED,
        INTERNAL_ERROR,
        IMAGE_PULL_FAILED,
        UNSCHEDULABLE,
        ROLLOUT_DEADLOCKED,
        QUOTA_EXCEEDED,
        POD_REFUSED,
        POD_EVICTED,
        CONTAINER_NOT_STARTED,
    }
)

AVAILABLE_REASONS: Mapping[str, str] = {
    PODS_READY: "True: at least one pod is ready.",
    NO_POD_READY: "False: no pod is ready.",
    STOPPED: "False: replicas is 0, as asked for.",
}
READY_REASONS: Mapping[str, str] = {
    ROLLED_OUT: "True: every pod that was asked for runs the wanted revision and is ready.",
    STOPPED: "True: replicas is 0 and no pod is left.",
    PAUSED: "False: spec.paused holds changes that have not been rolled out.",
}
RECONCILING_REASONS: Mapping[str, str] = {
    OBSERVING: "Kubernetes' own controllers have not looked at the newest change yet. Ready is Unknown.",
    ROLLING_OUT: "Pods of the wanted revision are being started; the message counts them and names their step.",
    PODS_NOT_READY: "The revision was rolled out, and fewer pods are ready than were asked for.",
    STOPPING: "replicas is 0 and pods are still shutting down.",
    WAITING_FOR_DELETION: "An object of an earlier ModelDeployment with this name is still being deleted.",
    CLUSTER_ERROR: "A call to the API server failed; it is tried again.",
    **{reason: f"{_FAILURES[reason]} May pass by itself." for reason in sorted(MAY_PASS)},
}
STALLED_REASONS: Mapping[str, str] = {
    SPEC_INVALID: "The spec can't be understood; the message names the field and what to write instead.",
    NAME_TAKEN: "An object that a child needs to be is there already and belongs to somebody else. It is not touched.",
    METADATA_NOT_ALLOWED: "A label or annotation is under no prefix that the administrator allows.",
    RUNTIME_CLASS_UNKNOWN: "spec.runtime.class names no runtime class; the message lists those there are.",
    FORMAT_NOT_OFFERED: "No runtime class, or not the one that spec.runtime.class names, offers spec.model.format; the"
    " message lists what is offered.",
    CHILD_REJECTED: "The API server found a child invalid; the message has its words.",
    PROGRESS_DEADLINE_EXCEEDED: "The rollout made no progress for spec.rollout.progressDeadlineSeconds.",
    ROLLED_BACK: "The wanted revision failed, and the last one that was ready was rolled out again, as"
    " spec.rollout.onFailure asks for. It stays until the spec changes.",
    **RUNTIME_FAILURES,
    **POD_FAILURES,
}
