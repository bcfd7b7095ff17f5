"""Hypothesis strategies for specs: everything that a ModelDeployment can hold, valid as a whole."""

from typing import Any

from hypothesis import strategies as st

_NAMES = st.sampled_from(["a", "iris", "flowers-2", "x" * 40])
_KEYS = st.sampled_from(["team.example.com/a", "team.example.com/b"])
_MAPS = st.dictionaries(_KEYS, st.sampled_from(["x", "y"]), max_size=2)
_CPU = st.sampled_from(["50m", "1000m", "1", 2, "0.5"])
_MEMORY = st.sampled_from(["64Mi", "0.5Gi", "3Gi", 1073741824])


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_MODEL = st.fixed_dictionaries(
    {
        "uri": st.sampled_from(
            [
                "s3://b/k",
                "https://host/k?v=1",
                "http://host:1/k",
                "file:/k",
                "pvc://models/k",
                "oci+volume://host:1/a/k:1/models",
                "oci+volume://host/k@sha256:" + "a" * 64,
            ]
        )
    },
    optional={
        "format": st.just("sklearn"),
        "digest": st.sampled_from(["sha256:" + "a" * 64, "sha256:" + "b" * 64]),
        "credentials": st.fixed_dictionaries({"secretName": _NAMES}),
        "signature": st.fixed_dictionaries(
            {"publicKey": st.fixed_dictionaries({"secretName": _NAMES}, optional={"key": _NAMES})},
            optional={"uri": st.just("s3://models/iris.sig")},
        ),
        "name": _NAMES,
    },
)
_TOLERATION = st.one_of(
    st.fixed_dictionaries({"key": _NAMES}, optional={"operator": st.just("Exists")}),
    st.fixed_dictionaries(
        {"key": _NAMES, "effect": st.just("NoExecute")}, optional={"tolerationSeconds": st.integers(0, 99)}
    ),
)
_POD = _optional(
    labels=_MAPS,
    annotations=_MAPS,
    nodeSelector=_MAPS,
    tolerations=st.lists(_TOLERATION, max_size=2),
    topologySpread=st.lists(
        st.fixed_dictionaries({"topologyKey": _NAMES}, optional={"maxSkew": st.integers(1, 3)}),
        max_size=2,
        unique_by=lambda each: each["topologyKey"],
    ),
    drainSeconds=st.integers(0, 3600),
)
_AUTOSCALING = st.fixed_dictionaries(
    {"maxReplicas": st.integers(4, 9)},
    optional={
        "minReplicas": st.integers(1, 4),
        "targetCPUUtilization": st.integers(1, 100),
        "behavior": st.just({"scaleDown": {"stabilizationWindowSeconds": 1}}),
    },
)
_SIZE: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"replicas": st.integers(0, 4)}),
    st.fixed_dictionaries({"autoscaling": _AUTOSCALING}),
)
_RESOURCES = st.one_of(
    _optional(requests=_optional(cpu=_CPU, memory=_MEMORY)),
    _optional(limits=_optional(cpu=_CPU, memory=_MEMORY)),
)
_REST = _optional(
    resources=_RESOURCES,
    runtime=_optional(
        logLevel=st.sampled_from(["debug", "info"]),
        updatePolicy=st.sampled_from(["Auto", "Manual"]),
        accelerate=st.sampled_from(["Auto", "Off"]),
        workers=st.integers(1, 4),
        batching=_optional(maxSize=st.integers(1, 99)),
        versionPolicy=st.sampled_from(["Warn", "Refuse"]),
        trialSeconds=st.integers(1, 600),
    ),
    access=_optional(
        tokens=st.just({"secretName": "tokens"}),
        tls=st.fixed_dictionaries(
            {"secretName": st.just("certificate")},
            optional={"clientCertificates": st.sampled_from(["Ignore", "Require"])},
        ),
    ),
    validation=_optional(
        samples=st.lists(
            st.fixed_dictionaries({"inputs": st.just([[1.0]])}, optional={"expect": st.just([1])}), max_size=2
        ),
        samplesURI=st.sampled_from(
            ["s3://models/samples.json", "pvc://samples/k.json", "pvc://models/k.json"]
        ),
    ),
    rollout=_optional(
        strategy=st.sampled_from(["Rolling", "Recreate"]),
        onFailure=st.sampled_from(["Hold", "Rollback"]),
        progressDeadlineSeconds=st.integers(10, 3600),
    ),
    revisionHistoryLimit=st.integers(1, 100),
    service=_optional(
        type=st.sampled_from(["ClusterIP", "NodePort"]), port=st.integers(1, 65535), annotations=_MAPS
    ),
    pod=_POD,
)

SPECS: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda model, size, rest: {"model": model, **size, **rest}, _MODEL, _SIZE, _REST
)
