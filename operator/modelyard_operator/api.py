"""The ModelDeployment as frozen types: the one reader of raw resources, and the shape of the status we write.

`reconciler` calls `parse` at each visit, `status` fills `Status`, and `crd` turns both halves into the CRD, so that
what the API server lets through and what the operator understands can't drift apart. Pure.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from modelyard_operator import errors, fields, naming, rules
from modelyard_operator import spec as specs

_check_rules = rules.checker(msgspec.inspect.type_info(specs.CheckedSpec))


class Identity(msgspec.Struct, frozen=True):
    """Who a ModelDeployment is: the part of it that can be read even when its spec can't."""

    namespace: str
    name: str
    uid: str
    generation: int
    is_deleting: bool


class ModelDeployment(msgspec.Struct, frozen=True):
    """One ModelDeployment as the reconciler sees it."""

    identity: Identity
    spec: specs.Spec

    @property
    def model_name(self) -> str:
        """The name in the prediction protocols."""
        return self.spec.model.name or self.identity.name

    @property
    def scheme(self) -> str:
        """The scheme of the model's address: http or https."""
        return "https" if self.spec.access.tls else "http"

    @property
    def service_port(self) -> int:
        """The port of the Service."""
        return self.spec.service.port or naming.DEFAULT_PORTS[self.scheme]

    @property
    def most_replicas(self) -> int:
        """The largest number of pods that this spec can lead to, surge left out."""
        return self.spec.autoscaling.max_replicas if self.spec.autoscaling else self.fewest_replicas

    @property
    def fewest_replicas(self) -> int:
        """The number of ready pods that fulfils this spec."""
        if self.spec.autoscaling:
            return self.spec.autoscaling.min_replicas
        return 1 if self.spec.replicas is None else self.spec.replicas


class Failure(fields.Type, frozen=True):
    """Why the pods of a revision don't become ready, in the words of the first one that failed."""

    reason: Annotated[str, Meta(description="One CamelCase cause.")]
    message: Annotated[str, Meta(description="What is wrong and what to do.")]
    pod: Annotated[str, Meta(description="The pod that says so.")] = ""
    exit_code: Annotated[int, Meta(description="Exit code of the container, when it ended.")] | None = None


class RevisionStatus(fields.Type, frozen=True):
    """One revision and its pods."""

    revision: Annotated[str, Meta(description="Name of the ControllerRevision.")]
    uri: Annotated[str, Meta(description="Where its artifact comes from.")]
    ready: Annotated[int, Meta(description="Pods that are ready.")]
    replicas: Annotated[int, Meta(description="Pods that there are.")]
    format: Annotated[str, Meta(description="Format of the artifact, when known.")] = ""
    digest: Annotated[str, Meta(description="Digest of the artifact, when known.")] = ""
    failure: Annotated[Failure, Meta(description="Why its pods don't become ready.")] | None = None


class RuntimeStatus(fields.Type, frozen=True):
    """The runtime image, and what the administrator offers instead."""

    image: Annotated[str, Meta(description="The image that is to run.")]
    newer: Annotated[
        str, Meta(description="The image that the runtime class offers instead, when it is another one.")
    ] = ""
    message: Annotated[str, Meta(description="What becomes of the newer image.")] = ""


class Condition(fields.Type, frozen=True):
    """One answer about the resource, as every Kubernetes tool reads it."""

    type: Annotated[str, Meta(description="Available, Ready, Reconciling or Stalled.")]
    status: Annotated[Literal["True", "False", "Unknown"], Meta(description="The answer.")]
    reason: Annotated[str, Meta(description="One CamelCase cause.")]
    message: Annotated[str, Meta(description="The same for people.")]
    last_transition_time: Annotated[
        str, Meta(description="When the answer last changed.", extra_json_schema={"format": "date-time"})
    ]
    observed_generation: Annotated[int, Meta(description="The generation of the spec that it speaks of.")]


class Status(fields.Type, frozen=True):
    """What the operator last saw and did. Written by the operator only."""

    observed_generation: Annotated[
        int, Meta(description="The generation of the spec that this status speaks of.")
    ]
    conditions: Annotated[
        list[Condition],
        Meta(
            description="Available and Ready always; Reconciling and Stalled while true.",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ]
    replicas: Annotated[int, Meta(description="Pods of every revision.")]
    ready_replicas: Annotated[int, Meta(description="Ready pods of every revision.")]
    updated_replicas: Annotated[int, Meta(description="Pods of the wanted revision.")]
    available: Annotated[str, Meta(description="Ready pods / pods asked for.")]
    selector: Annotated[str, Meta(description="Label selector of the pods, for autoscalers.")]
    url: Annotated[str, Meta(description="Address inside the cluster.")] = ""
    format: Annotated[str, Meta(description="Format of what serves, or of what is to, when known.")] = ""
    digest: Annotated[
        str, Meta(description="First 12 hex digits of the digest of what serves, when known.")
    ] = ""
    runtime: Annotated[RuntimeStatus, Meta(description="The model server.")] | None = None
    stable: Annotated[RevisionStatus, Meta(description="The revision that serves.")] | None = None
    candidate: (
        Annotated[RevisionStatus, Meta(description="The newer revision on its way to replace it.")] | None
    ) = None


def parse_identity(body: Mapping[str, Any]) -> Identity:
    """Give the identity of a resource that came from the API server."""
    metadata = body["metadata"]
    return Identity(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        is_deleting="deletionTimestamp" in metadata,
    )


def parse(body: Mapping[str, Any]) -> ModelDeployment:
    """Give the typed form of a resource that came from the API server.

    Raises:
        errors.Stalled: SpecInvalid, naming the field and what to write instead.
    """
    identity = parse_identity(body)
    _check_name(identity.name)
    try:
        spec = msgspec.convert(body.get("spec"), specs.Spec)
    except msgspec.ValidationError as error:
        raise errors.Stalled("SpecInvalid", _explain(str(error))) from error
    for path, rule in _check_rules(spec, "spec") if _check_rules else ():
        raise errors.Stalled("SpecInvalid", f"{path}: {rule.message}.")
    return ModelDeployment(identity=identity, spec=spec)


def _check_name(name: str) -> None:
    if len(name) > naming.NAME_MAX:
        raise errors.Stalled("SpecInvalid", f"metadata.name: must have at most {naming.NAME_MAX} characters.")
    for rule in rules.NAME:
        if not rule.holds(name):
            raise errors.Stalled("SpecInvalid", f"metadata.name: {rule.message}.")


def _explain(message: str) -> str:
    """Turn msgspec's "Expected `int`, got `str` - at `$.replicas`" into our "spec.replicas: expected `int`, …"."""
    text, separator, path = message.rpartition(" - at `$")
    if not separator:
        return f"spec: {message}."
    return f"spec{path.rstrip('`')}: {text}."
