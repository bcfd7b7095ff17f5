"""Misoperations that no single field's schema shows: fields that contradict each other or the cluster.

Each has the field at fault and the spec. Most come from what operators of this kind were broken with before.
"""

from typing import Any

from tests.support import cluster_specs

Case = tuple[str, dict[str, Any]]
_spec = cluster_specs.spec


def _autoscaling(**fields: Any) -> dict[str, Any]:
    return _spec(autoscaling={"maxReplicas": 3, **fields})


def _resources(requests: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    return _spec(resources={"requests": requests, "limits": limits})


def _toleration(**fields: Any) -> dict[str, Any]:
    return _spec(pod={"tolerations": [{"key": "gpu", **fields}]})


def _metric(kind: str, **source: Any) -> dict[str, Any]:
    return _autoscaling(metrics=[{"type": kind, **source}])


_AVERAGE = {"type": "AverageValue", "averageValue": "10"}

AUTOSCALERS: dict[str, Case] = {
    "both owners of the number": ("spec", _spec(replicas=1, autoscaling={"maxReplicas": 2})),
    "both owners, one at 0": ("spec", _spec(replicas=0, autoscaling={"maxReplicas": 2})),
    "more at least than at most": ("spec.autoscaling", _autoscaling(minReplicas=4)),
    "as many at least as at most": ("spec.autoscaling", _autoscaling(minReplicas=3)),
    "a metric of no kind": ("spec.autoscaling.metrics", _metric("Nonsense")),
    "a metric without its source": ("spec.autoscaling.metrics", _metric("Pods")),
    "a metric with another kind's source": (
        "spec.autoscaling.metrics",
        _metric("Pods", resource={"name": "cpu", "target": _AVERAGE}),
    ),
    "a metric of a foreign object": (
        "spec.autoscaling.metrics",
        _metric(
            "Object",
            object={
                "describedObject": {"kind": "Secret", "name": "other", "apiVersion": "v1"},
                "metric": {"name": "hits"},
                "target": {"type": "Value", "value": "10"},
            },
        ),
    ),
    "a metric with a negative target": (
        "spec.autoscaling.metrics",
        _metric("External", external={"metric": {"name": "q"}, "target": {"type": "Value", "value": "-5"}}),
    ),
    "a metric with an unknown field": ("spec.autoscaling.metrics", _metric("Pods", surprise=1)),
    "a metric whose target is text": (
        "spec.autoscaling.metrics",
        _metric("Resource", resource={"name": "cpu", "target": "half"}),
    ),
    "a metric of another container": (
        "spec.autoscaling.metrics",
        _metric(
            "ContainerResource",
            containerResource={
                "container": "nobody",
                "name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 50},
            },
        ),
    ),
    "a behavior of nonsense": ("spec.autoscaling.behavior", _autoscaling(behavior={"sideways": {}})),
    "a behavior with a negative window": (
        "spec.autoscaling.behavior",
        _autoscaling(behavior={"scaleUp": {"stabilizationWindowSeconds": -1}}),
    ),
    "a behavior with no policy": (
        "spec.autoscaling.behavior",
        _autoscaling(behavior={"scaleUp": {"policies": []}}),
    ),
    "a behavior with an unknown policy": (
        "spec.autoscaling.behavior",
        _autoscaling(
            behavior={"scaleUp": {"policies": [{"type": "Doubling", "value": 1, "periodSeconds": 1}]}}
        ),
    ),
    "a behavior of the wrong type": (
        "spec.autoscaling.behavior",
        _autoscaling(behavior={"scaleUp": {"policies": "fast"}}),
    ),
}

RESOURCES: dict[str, Case] = {
    "more cpu than any node has": ("spec.resources", _resources({"cpu": "9999"}, {})),
    "memory of a tenth of a byte": ("spec.resources", _resources({"memory": "100m"}, {"memory": "100m"})),
    "no memory at all": ("spec.resources", _resources({"memory": "0"}, {"memory": "0"})),
    "no cpu at all": ("spec.resources", _resources({"cpu": 0}, {"cpu": 0})),
    "a quadrillion of exabytes": ("spec.resources", _resources({"memory": "1e30"}, {"memory": "1e30"})),
    "half a GPU": ("spec.resources", _resources({}, {"nvidia.com/gpu": "500m"})),
    "a GPU asked for and not limited": ("spec.resources", _resources({"nvidia.com/gpu": 1}, {})),
    "more GPUs at most than asked for": (
        "spec.resources",
        _resources({"nvidia.com/gpu": 1}, {"nvidia.com/gpu": 2}),
    ),
    "an own resource of Kubernetes": ("spec.resources", _resources({}, {"kubernetes.io/cpu": 1})),
    "a resource with requests. before it": ("spec.resources", _resources({}, {"requests.nvidia.com/gpu": 1})),
    "a resource whose domain ends in a dot": ("spec.resources", _resources({}, {"nvidia.com./gpu": 1})),
    "a resource whose name starts with a dash": ("spec.resources", _resources({}, {"nvidia.com/-gpu": 1})),
    "a resource with a long name": ("spec.resources", _resources({}, {"nvidia.com/" + "g" * 80: 1})),
    "huge pages": ("spec.resources", _resources({"hugepages-2Mi": "4Mi"}, {"hugepages-2Mi": "4Mi"})),
    "requests above limits, in other units": (
        "spec.resources",
        _resources({"memory": "2Gi"}, {"memory": "2G"}),
    ),
    "requests above the default limit": ("spec.resources", _resources({"memory": "20Gi"}, {})),
    "limits below the default request": ("spec.resources", _resources({}, {"memory": "10Mi", "cpu": "1m"})),
    "a scratch space of nothing": ("spec.resources", _resources({}, {"ephemeral-storage": "0"})),
}

PODS: dict[str, Case] = {
    "a value where it is not compared": (
        "spec.pod.tolerations[0]",
        _toleration(operator="Exists", value="x"),
    ),
    "seconds where nothing is evicted": (
        "spec.pod.tolerations[0]",
        _toleration(effect="NoSchedule", tolerationSeconds=5),
    ),
    "seconds without an effect": ("spec.pod.tolerations[0]", _toleration(tolerationSeconds=5)),
    "a taint's value with a space": ("spec.pod.tolerations[0]", _toleration(value="a b")),
    "a taint's key with a space": ("spec.pod.tolerations[0].key", _toleration(key="a b")),
    "every taint": ("spec.pod.tolerations[0]", _spec(pod={"tolerations": [{"operator": "Exists"}]})),
    "the same taint twice": (
        "spec.pod.tolerations",
        _spec(pod={"tolerations": [{"key": "a"}, {"key": "a"}]}),
    ),
    "the control plane's taint": (
        "spec.pod.tolerations[0]",
        _toleration(key="node-role.kubernetes.io/control-plane"),
    ),
    "spread over nothing": (
        "spec.pod.topologySpread[0]",
        _spec(pod={"topologySpread": [{"topologyKey": ""}]}),
    ),
    "spread over one key twice": (
        "spec.pod.topologySpread",
        _spec(pod={"topologySpread": [{"topologyKey": "zone"}, {"topologyKey": "zone", "maxSkew": 2}]}),
    ),
    "a node label with a space": ("spec.pod.nodeSelector", _spec(pod={"nodeSelector": {"disk": "a b"}})),
    "a node label's name with a space": ("spec.pod.nodeSelector", _spec(pod={"nodeSelector": {"a b": "x"}})),
    "a node that does not exist": (
        "spec.pod.nodeSelector",
        _spec(pod={"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}),
    ),
    "no time to drain": ("spec.pod.drainSeconds", _spec(pod={"drainSeconds": 0})),
    "a label under no allowed prefix": ("spec.pod.labels", _spec(pod={"labels": {"team": "a"}})),
    "an annotation under no allowed prefix": (
        "spec.pod.annotations",
        _spec(pod={"annotations": {"team": "a"}}),
    ),
    "a label's value with a space": (
        "spec.pod.labels",
        _spec(pod={"labels": {"team.example.com/a": "x y"}}),
    ),
}

MODELS: dict[str, Case] = {
    "a runtime class that nobody offers": ("spec.runtime.class", _spec(runtime={"class": "gpu"})),
    "a Secret that does not exist": (
        "spec.model.credentials.secretName",
        _spec(model={"credentials": {"secretName": "missing"}}),
    ),
    "a key that does not exist": (
        "spec.model.signature.publicKey.secretName",
        _spec(model={"signature": {"publicKey": {"secretName": "missing"}}}),
    ),
    "a bucket of nothing but dots": ("spec.model.uri", _spec(model={"uri": "s3://../x"})),
    "a host with a port out of range": ("spec.model.uri", _spec(model={"uri": "http://host:99999/x"})),
    "an address in brackets": ("spec.model.uri", _spec(model={"uri": "http://[::1]/x"})),
    "a fragment": ("spec.model.uri", _spec(model={"uri": "https://host/x#frag"})),
    "a percent sign of nothing": ("spec.model.uri", _spec(model={"uri": "https://host/%zz"})),
    "a file with a host": ("spec.model.uri", _spec(model={"uri": "file://host/x"})),
    "another digest's name": ("spec.model.digest", _spec(model={"digest": "sha512:" + "a" * 64})),
    "a model called up": ("spec.model.name", _spec(model={"name": ".."})),
    "a model called with dots inside": ("spec.model.name", _spec(model={"name": "a..b"})),
    "a service port of the runtime": ("spec.service.port", _spec(service={"port": 8080})),
    "stopped and paused": ("spec.paused", _spec(replicas=0, paused=True)),
    "a thousand pods": ("spec.replicas", _spec(replicas=1000)),
    "an image": ("spec.image", _spec(image="evil:1")),
    "a pod template": ("spec.template", _spec(template={"spec": {"hostNetwork": True}})),
    "a service account": ("spec.pod.serviceAccountName", _spec(pod={"serviceAccountName": "admin"})),
    "an environment": ("spec.runtime.env", _spec(runtime={"env": [{"name": "LD_PRELOAD", "value": "x"}]})),
}

CASES: dict[str, Case] = {**AUTOSCALERS, **RESOURCES, **PODS, **MODELS}
