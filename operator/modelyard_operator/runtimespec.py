"""The runtime block of the spec: which image serves the model, and how.

Part of `spec`, apart because it has a subject of its own. Nothing here hands an image or a command to the author: a
class is a name that the administrator gave a meaning. Pure.
"""

from typing import Annotated, Literal

from msgspec import field

from modelyard_operator import fields, rules


class Batching(fields.Type, frozen=True):
    """How requests that are there at the same time share one call of the model."""

    max_size: Annotated[
        int,
        fields.doc(
            "Most rows in one shared call; 1 gives every request a call of its own. Nobody waits for a batch to fill."
            " Default: 64.",
            ge=1,
            le=65536,
        ),
    ] = 64


class Runtime(fields.Type, frozen=True):
    """How the model server runs."""

    class_: Annotated[
        str,
        fields.doc(
            "Name of a runtime class: one of the images that the administrator offers. Default: default.",
            *rules.CLASS_NAME,
            max_length=63,
        ),
    ] = field(default="default", name="class")
    workers: Annotated[
        int,
        fields.doc(
            "Processes that serve in each pod; they share the model's memory. More than one pays from two CPUs on."
            " Default: 1.",
            ge=1,
            le=64,
        ),
    ] = 1
    batching: Annotated[Batching, fields.doc("Sharing of calls between requests.")] = Batching()
    accelerate: Annotated[
        Literal["Auto", "Off"],
        fields.doc(
            "Auto: a model whose predictions a faster engine gives just as well is served by that engine. Off: the"
            " library that made the model serves it. Default: Auto."
        ),
    ] = "Auto"
    version_policy: Annotated[
        Literal["Warn", "Refuse"],
        fields.doc(
            "What happens to a model that another version of its library wrote. Warn: it is served, and its metadata"
            " say so. Refuse: it fails with VersionMismatch. Default: Warn."
        ),
    ] = "Warn"
    trial_seconds: Annotated[
        int,
        fields.doc(
            "How long loading, the first predictions and the samples may take when the model is tried, before it is"
            " LimitExceeded. Default: 240.",
            ge=1,
            le=600,
        ),
    ] = 240
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        fields.doc("How much the model server logs. Default: info."),
    ] = "info"
    update_policy: Annotated[
        Literal["Manual", "Auto"],
        fields.doc(
            "What happens when the administrator offers a newer image for the class. Manual: nothing, but"
            " status.runtime says that there is one. Auto: it is rolled out, one model at a time. Default: Manual."
        ),
    ] = "Manual"
