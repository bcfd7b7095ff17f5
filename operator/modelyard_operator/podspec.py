"""The pod block of the spec: where the pods run, how they are marked, how they stop.

Part of `spec`, apart because placement is a subject of its own. Pure.
"""

from typing import Annotated, Literal

from msgspec import Meta, field

from modelyard_operator import fields, key_rules, rules


class Toleration(fields.Type, frozen=True):
    """One taint that the pods tolerate."""

    key: Annotated[str, fields.doc("Key of the taint.", max_length=253)] = ""
    operator: Annotated[Literal["Exists", "Equal"], fields.doc("How value is compared. Default: Equal.")] = (
        "Equal"
    )
    value: Annotated[
        str, fields.doc("Value of the taint, with Equal.", *key_rules.LABEL_VALUE, max_length=63)
    ] = ""
    effect: (
        Annotated[
            Literal["NoSchedule", "PreferNoSchedule", "NoExecute"],
            fields.doc("Effect of the taint. Default: every effect."),
        ]
        | None
    ) = None
    toleration_seconds: (
        Annotated[
            int, fields.doc("How long a NoExecute taint is tolerated. Default: for ever.", ge=0, le=2**31 - 1)
        ]
        | None
    ) = None


class TopologySpread(fields.Type, frozen=True):
    """One way to spread the pods."""

    topology_key: Annotated[
        str,
        fields.doc(
            "Node label whose values are the places to spread over, for example topology.kubernetes.io/zone.",
            *key_rules.KEY,
            max_length=316,
        ),
    ]
    max_skew: Annotated[
        int, fields.doc("Largest difference in pods between two places. Default: 1.", ge=1, le=1000)
    ] = 1
    when_unsatisfiable: Annotated[
        Literal["ScheduleAnyway", "DoNotSchedule"],
        fields.doc("What happens to a pod that can't be placed so. Default: ScheduleAnyway."),
    ] = "ScheduleAnyway"


class Pod(fields.Type, frozen=True):
    """Where the pods run and how they are marked."""

    labels: Annotated[
        fields.Labels,
        fields.doc("Further labels of the pods; only under prefixes that the administrator allows."),
    ] = field(default_factory=dict)
    annotations: Annotated[
        fields.Annotations,
        fields.doc("Annotations of the pods; only under prefixes that the administrator allows."),
    ] = field(default_factory=dict)
    node_selector: Annotated[
        dict[str, fields.LabelValue],
        Meta(
            description="Labels that a node must have.",
            extra={"rules": key_rules.KEYS},
            extra_json_schema={"maxProperties": 16},
        ),
    ] = field(default_factory=dict)
    tolerations: Annotated[
        list[Annotated[Toleration, Meta(extra={"rules": (*rules.TOLERATION, *key_rules.TAINT)})]],
        fields.doc("Taints that the pods tolerate.", max_length=16),
    ] = field(default_factory=list)
    topology_spread: Annotated[
        list[TopologySpread],
        Meta(
            description="How the pods are spread over zones or nodes.",
            max_length=8,
            extra_json_schema={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["topologyKey"],
            },
        ),
    ] = field(default_factory=list)
    drain_seconds: Annotated[
        int,
        fields.doc(
            "How long a pod that is being stopped may finish requests that are under way. Default: 30.",
            ge=0,
            le=3600,
        ),
    ] = 30
