"""The spec of a ModelDeployment: its fields, their defaults, limits, descriptions and rules.

`api` parses resources into these types; `crd` makes the CRD's schema and the reference from the same. Pure.

A field without a default here is required. The defaults live here and not in the CRD, where they would be written
into users' objects and fight their GitOps tools. At most 80 leaf fields, and none that hands a pod template, an
image, a command or another identity to the author of a ModelDeployment.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from modelyard_operator import (
    accessspec,
    fields,
    key_rules,
    podspec,
    rules,
    runtimespec,
    signaturespec,
    uri_rules,
    validationspec,
)

# What the runtime has adapters for (its `settings.FORMATS`; a contract test compares).
Format = Literal[
    "sklearn", "skops", "onnx", "xgboost", "lightgbm", "catboost", "torch", "keras", "mlflow", "custom"
]


class Credentials(fields.Type, frozen=True):
    """Where the credentials for fetching the artifact are kept."""

    secret_name: Annotated[
        str,
        fields.doc(
            "Name of a Secret in the same namespace. docs/sources.md lists the keys that count for each scheme, such as"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3. Only the container that fetches sees them; with"
            " oci+volume the kubelet pulls with it.",
            *rules.SECRET_NAME,
            max_length=253,
        ),
    ]


class Model(fields.Type, frozen=True):
    """What to serve."""

    uri: Annotated[
        str,
        fields.doc(
            "Where the trained model is. One of: s3://bucket/key, gs://bucket/key, az://container/blob,"
            " https://host/path, http://host/path, hf://org/repo[@revision][/file],"
            " oci://registry/repository:tag (or @sha256:…; an artifact), oci+volume://registry/repository:tag[/path]"
            " (an image, mounted by the node), mlflow://models/name/version-or-alias, runs:/run/path,"
            " pvc://claim/path (a PersistentVolumeClaim of the same namespace, mounted read-only), or file:/path for a"
            " runtime image that carries the model itself. A file or a directory; docs/sources.md says what each"
            " takes.",
            *uri_rules.URI,
            max_length=2048,
        ),
    ]
    format: (
        Annotated[
            Format,
            fields.doc(
                "Format of the artifact. Without spec.runtime.class, it chooses a runtime class whose image serves it;"
                " with one, the class must offer it. Inferred from the artifact when absent."
            ),
        ]
        | None
    ) = None
    digest: (
        Annotated[
            str,
            fields.doc(
                "sha256:<64 hex digits> of the artifact. When given, nothing else is ever served: a pod that fetches"
                " other bytes fails with DigestMismatch.",
                *rules.DIGEST,
                max_length=71,
            ),
        ]
        | None
    ) = None
    credentials: (
        Annotated[
            Credentials, fields.doc("Credentials for fetching the artifact; public artifacts need none.")
        ]
        | None
    ) = None
    signature: (
        Annotated[
            signaturespec.Signature,
            fields.doc(
                "Whose OpenSSF model signature the artifact must have, as `model_signing sign key` makes it. A pod with"
                " an artifact that isn't signed so fails with SignatureInvalid."
            ),
        ]
        | None
    ) = None
    name: (
        Annotated[
            str,
            fields.doc(
                "Model name in the prediction protocols, as in /v2/models/<name>/infer. Default: the resource's name.",
                *rules.MODEL_NAME,
                max_length=128,
            ),
        ]
        | None
    ) = None


class Autoscaling(fields.Type, frozen=True):
    """Bounds and targets of a HorizontalPodAutoscaler."""

    max_replicas: Annotated[int, fields.doc("Most replicas.", ge=1, le=1000)]
    min_replicas: Annotated[int, fields.doc("Fewest replicas. Default: 1.", *rules.MIN_REPLICAS, le=1000)] = 1
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
        fields.doc(
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


class Resources(fields.Type, frozen=True):
    """Compute resources of each pod."""

    requests: Annotated[
        fields.Quantities,
        fields.doc(
            "What each pod reserves. Default: cpu 100m, memory 256Mi (or the limit, when that is less)."
        ),
    ] = field(default_factory=dict)
    limits: Annotated[
        fields.Quantities, fields.doc("What each pod may use at most. Default: memory 1Gi and no CPU limit.")
    ] = field(default_factory=dict)


class Service(fields.Type, frozen=True):
    """How the model is reached."""

    type: Annotated[
        Literal["ClusterIP", "NodePort", "LoadBalancer"],
        fields.doc("Type of the Service. Default: ClusterIP."),
    ] = "ClusterIP"
    port: (
        Annotated[
            int, fields.doc("Port of the Service. Default: 80, or 443 with access.tls.", ge=1, le=65535)
        ]
        | None
    ) = None
    annotations: Annotated[
        fields.Annotations,
        fields.doc(
            "Annotations of the Service, for load balancers; only under prefixes that the administrator allows."
        ),
    ] = field(default_factory=dict)


class Rollout(fields.Type, frozen=True):
    """How a new revision replaces the one that serves."""

    strategy: Annotated[
        Literal["Rolling", "Recreate"],
        fields.doc(
            "Rolling: an old pod goes when a new one is ready, so that nothing is lost. Recreate: all old pods go"
            " first, for models whose pods can't run side by side, because one holds the only GPU or volume; nothing"
            " serves in between. Default: Rolling."
        ),
    ] = "Rolling"
    on_failure: Annotated[
        Literal["Hold", "Rollback"],
        fields.doc(
            "What happens when a new revision fails. Hold: it is kept, so that it can be looked at, and what served"
            " goes on serving. Rollback: the last revision that was ready is rolled out again and stays until the spec"
            " changes; changing replicas is no such change. Default: Hold."
        ),
    ] = "Hold"
    progress_deadline_seconds: Annotated[
        int,
        fields.doc(
            "How long a rollout may make no progress before it counts as failed. Default: 300.",
            ge=10,
            le=3600,
        ),
    ] = 300


class Spec(fields.Type, frozen=True):
    """What the author of a ModelDeployment asks for."""

    model: Annotated[Model, fields.doc("The trained model to serve.")]
    replicas: (
        Annotated[
            int,
            fields.doc(
                "Number of pods; 0 stops the model and keeps everything else. Default: 1. kubectl scale needs it to be"
                " set. Leave it out when autoscaling is set. The operator owns the number on the Deployment and puts it"
                " back there: an autoscaler of your own (KEDA, an HPA made by hand) has to target the ModelDeployment.",
                ge=0,
                le=1000,
            ),
        ]
        | None
    ) = None
    autoscaling: (
        Annotated[
            Autoscaling,
            fields.doc("Lets a HorizontalPodAutoscaler choose the number of pods.", *rules.AUTOSCALING),
        ]
        | None
    ) = None
    resources: Annotated[
        Resources,
        fields.doc("CPU, memory and devices of each pod.", *rules.REQUESTS_WITHIN_LIMITS, *key_rules.DEVICES),
    ] = Resources()
    runtime: Annotated[runtimespec.Runtime, fields.doc("The model server.")] = runtimespec.Runtime()
    service: Annotated[Service, fields.doc("The Service in front of the pods.")] = Service()
    access: Annotated[
        accessspec.Access, fields.doc("Who may predict. Default: everybody who reaches the Service.")
    ] = accessspec.Access()
    validation: Annotated[
        validationspec.Validation,
        fields.doc("Samples that a new revision must answer before it gets traffic."),
    ] = validationspec.Validation()
    rollout: Annotated[
        Rollout, fields.doc("How a new revision replaces the one that serves. Restarts nothing when changed.")
    ] = Rollout()
    revision_history_limit: Annotated[
        int,
        fields.doc(
            "How many revisions are kept to go back to; those in use are kept beyond it. Default: 10.",
            ge=1,
            le=100,
        ),
    ] = 10
    pod: Annotated[podspec.Pod, fields.doc("Placement, labels and shutdown of the pods.")] = podspec.Pod()
    paused: Annotated[
        bool,
        fields.doc("Holds every change but the status: what serves keeps serving as it is. Default: false."),
    ] = False


CheckedSpec = Annotated[
    Spec, fields.doc("What to serve and how. Only model.uri is required.", *rules.ONE_OWNER_OF_REPLICAS)
]
