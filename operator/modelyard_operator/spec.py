"""The spec of a ModelDeployment: its fields, their defaults, limits, descriptions and rules.

`api` parses resources into these types; `crd` makes the CRD's schema and the reference from the same. Pure.

A field without a default here is required. The defaults live here and not in the CRD, where they would be written
into users' objects and fight their GitOps tools. At most 80 leaf fields, and none that hands a pod template, an
image, a command or another identity to the author of a ModelDeployment.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from modelyard_operator import rules


def _doc(text: str, *checks: rules.Rule, **limits: Any) -> Meta:
    return Meta(description=text, extra={"rules": checks}, **limits)


class _Type(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Frozen, camelCase on the wire, and silent about defaults: an absent field and its default are one intent."""


Quantity = Annotated[
    int | str, Meta(extra={"rules": rules.QUANTITY}, extra_json_schema={"x-kubernetes-int-or-string": True})
]
Quantities = Annotated[
    dict[str, Quantity],
    Meta(extra={"rules": rules.RESOURCE_NAMES}, extra_json_schema={"maxProperties": 16}),
]
Labels = Annotated[
    dict[str, Annotated[str, Meta(max_length=63)]],
    Meta(extra={"rules": rules.OWN_KEYS}, extra_json_schema={"maxProperties": 32}),
]
Annotations = Annotated[
    dict[str, Annotated[str, Meta(max_length=4096)]],
    Meta(extra={"rules": rules.OWN_KEYS}, extra_json_schema={"maxProperties": 32}),
]


class Credentials(_Type, frozen=True):
    """Where the credentials for fetching the artifact are kept."""

    secret_name: Annotated[
        str,
        _doc(
            "Name of a Secret in the same namespace. Keys that count: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,"
            " AWS_SESSION_TOKEN, AWS_REGION and AWS_ENDPOINT_URL for s3; HTTP_USERNAME and HTTP_PASSWORD, or"
            " HTTP_BEARER_TOKEN, for http and https. Only the container that fetches sees them.",
            *rules.SECRET_NAME,
            max_length=253,
        ),
    ]


class Model(_Type, frozen=True):
    """What to serve."""

    uri: Annotated[
        str,
        _doc(
            "Where the trained model is: s3://bucket/key, https://host/path, http://host/path, or file:/path for a"
            " runtime image that carries the model itself. A file, or a directory (for s3 and file).",
            *rules.URI,
            max_length=2048,
        ),
    ]
    format: (
        Annotated[Literal["sklearn"], _doc("Format of the artifact. Inferred from the artifact when absent.")]
        | None
    ) = None
    digest: (
        Annotated[
            str,
            _doc(
                "sha256:<64 hex digits> of the artifact. When given, nothing else is ever served: a pod that fetches"
                " other bytes fails with DigestMismatch.",
                *rules.DIGEST,
                max_length=71,
            ),
        ]
        | None
    ) = None
    credentials: (
        Annotated[Credentials, _doc("Credentials for fetching the artifact; public artifacts need none.")]
        | None
    ) = None
    name: (
        Annotated[
            str,
            _doc(
                "Model name in the prediction protocols, as in /v2/models/<name>/infer. Default: the resource's name.",
                *rules.MODEL_NAME,
                max_length=128,
            ),
        ]
        | None
    ) = None


class Autoscaling(_Type, frozen=True):
    """Bounds and targets of a HorizontalPodAutoscaler."""

    max_replicas: Annotated[int, _doc("Most replicas.", ge=1, le=1000)]
    min_replicas: Annotated[int, _doc("Fewest replicas. Default: 1.", *rules.MIN_REPLICAS, le=1000)] = 1
    target_cpu_utilization: (
        Annotated[
            int,
            Meta(
                description="Average CPU use to aim for, in percent of the requested CPU. Default: 80 when there are"
                " no metrics.",
                ge=1,
                le=1000,
            ),
        ]
        | None
    ) = field(default=None, name="targetCPUUtilization")
    metrics: Annotated[
        list[
            Annotated[dict[str, Any], Meta(extra_json_schema={"x-kubernetes-preserve-unknown-fields": True})]
        ],
        _doc(
            "Further metrics to scale on: a list of autoscaling/v2 MetricSpec, passed on as they are.",
            max_length=16,
        ),
    ] = field(default_factory=list)
    behavior: (
        Annotated[
            dict[str, Any],
            Meta(
                description="How fast to scale up and down: an autoscaling/v2 HorizontalPodAutoscalerBehavior, passed"
                " on as it is.",
                extra_json_schema={"x-kubernetes-preserve-unknown-fields": True},
            ),
        ]
        | None
    ) = None


class Resources(_Type, frozen=True):
    """Compute resources of each pod."""

    requests: Annotated[
        Quantities,
        _doc("What each pod reserves. Default: cpu 100m, memory 256Mi (or the limit, when that is less)."),
    ] = field(default_factory=dict)
    limits: Annotated[
        Quantities, _doc("What each pod may use at most. Default: memory 1Gi and no CPU limit.")
    ] = field(default_factory=dict)


class Runtime(_Type, frozen=True):
    """How the model server runs."""

    class_: Annotated[
        str,
        _doc(
            "Name of a runtime class: one of the images that the administrator offers. Default: default.",
            *rules.CLASS_NAME,
            max_length=63,
        ),
    ] = field(default="default", name="class")
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _doc("How much the model server logs. Default: info.")
    ] = "info"


class Service(_Type, frozen=True):
    """How the model is reached."""

    type: Annotated[
        Literal["ClusterIP", "NodePort", "LoadBalancer"], _doc("Type of the Service. Default: ClusterIP.")
    ] = "ClusterIP"
    port: Annotated[int, _doc("Port of the Service. Default: 80.", ge=1, le=65535)] = 80
    annotations: Annotated[
        Annotations,
        _doc(
            "Annotations of the Service, for load balancers; only under prefixes that the administrator allows."
        ),
    ] = field(default_factory=dict)


class Toleration(_Type, frozen=True):
    """One taint that the pods tolerate."""

    key: Annotated[str, _doc("Key of the taint.", max_length=253)] = ""
    operator: Annotated[Literal["Exists", "Equal"], _doc("How value is compared. Default: Equal.")] = "Equal"
    value: Annotated[str, _doc("Value of the taint, with Equal.", max_length=63)] = ""
    effect: (
        Annotated[
            Literal["NoSchedule", "PreferNoSchedule", "NoExecute"],
            _doc("Effect of the taint. Default: every effect."),
        ]
        | None
    ) = None
    toleration_seconds: (
        Annotated[
            int, _doc("How long a NoExecute taint is tolerated. Default: for ever.", ge=0, le=2**31 - 1)
        ]
        | None
    ) = None


class TopologySpread(_Type, frozen=True):
    """One way to spread the pods."""

    topology_key: Annotated[
        str,
        _doc(
            "Node label whose values are the places to spread over, for example topology.kubernetes.io/zone.",
            max_length=316,
        ),
    ]
    max_skew: Annotated[
        int, _doc("Largest difference in pods between two places. Default: 1.", ge=1, le=1000)
    ] = 1
    when_unsatisfiable: Annotated[
        Literal["ScheduleAnyway", "DoNotSchedule"],
        _doc("What happens to a pod that can't be placed so. Default: ScheduleAnyway."),
    ] = "ScheduleAnyway"


class Pod(_Type, frozen=True):
    """Where the pods run and how they are marked."""

    labels: Annotated[
        Labels, _doc("Further labels of the pods; only under prefixes that the administrator allows.")
    ] = field(default_factory=dict)
    annotations: Annotated[
        Annotations, _doc("Annotations of the pods; only under prefixes that the administrator allows.")
    ] = field(default_factory=dict)
    node_selector: Annotated[
        dict[str, Annotated[str, Meta(max_length=63)]],
        Meta(description="Labels that a node must have.", extra_json_schema={"maxProperties": 16}),
    ] = field(default_factory=dict)
    tolerations: Annotated[
        list[Annotated[Toleration, Meta(extra={"rules": rules.TOLERATION})]],
        _doc("Taints that the pods tolerate.", max_length=16),
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
        _doc(
            "How long a pod that is being stopped may finish requests that are under way. Default: 30.",
            ge=0,
            le=3600,
        ),
    ] = 30


class Spec(_Type, frozen=True):
    """What the author of a ModelDeployment asks for."""

    model: Annotated[Model, _doc("The trained model to serve.")]
    replicas: (
        Annotated[
            int,
            _doc(
                "Number of pods; 0 stops the model and keeps everything else. Default: 1. kubectl scale needs it to be"
                " set. Leave it out when autoscaling is set.",
                ge=0,
                le=1000,
            ),
        ]
        | None
    ) = None
    autoscaling: (
        Annotated[
            Autoscaling, _doc("Lets a HorizontalPodAutoscaler choose the number of pods.", *rules.AUTOSCALING)
        ]
        | None
    ) = None
    resources: Annotated[
        Resources, _doc("CPU, memory and devices of each pod.", *rules.REQUESTS_WITHIN_LIMITS)
    ] = Resources()
    runtime: Annotated[Runtime, _doc("The model server.")] = Runtime()
    service: Annotated[Service, _doc("The Service in front of the pods.")] = Service()
    pod: Annotated[Pod, _doc("Placement, labels and shutdown of the pods.")] = Pod()
    paused: Annotated[
        bool, _doc("Holds every change but the status: what serves keeps serving as it is. Default: false.")
    ] = False


CheckedSpec = Annotated[
    Spec, _doc("What to serve and how. Only model.uri is required.", *rules.ONE_OWNER_OF_REPLICAS)
]
