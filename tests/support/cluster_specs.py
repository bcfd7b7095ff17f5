"""Specs, good and bad, that the API server (by the CRD) and `api.parse` must judge alike.

Used by tests/unit/operator/test_api.py and tests/integration/test_crd.py. Each bad one comes with words that the
refusal must hold: the field, or what to write instead.
"""

from typing import Any

URI = "s3://models/iris/model.joblib"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def spec(**fields: Any) -> dict[str, Any]:
    """Give a spec that is good but for the fields given; `model` is merged into the model block."""
    model = {"uri": URI, **fields.pop("model", {})}
    return {"model": model, **fields}


GOOD: dict[str, dict[str, Any]] = {
    "the smallest": spec(),
    "a file in the image": spec(model={"uri": "file:/models/iris.joblib"}),
    "a file in the image, with two more slashes": spec(model={"uri": "file:///models/iris.joblib"}),
    "plain http with a port": spec(model={"uri": "http://models.example:8080/iris.joblib"}),
    "a query that is no secret": spec(model={"uri": "https://models.example/iris.joblib?version=3"}),
    "Google's and Azure's buckets": spec(
        model={"uri": "gs://models/iris/"}, validation={"samplesURI": "az://models/iris/samples.json"}
    ),
    "a path in a claim": spec(model={"uri": "pvc://team.models/iris/model.joblib"}),
    "a repository of the hub": spec(model={"uri": "hf://org/repo"}),
    "a file of the hub at a revision": spec(model={"uri": "hf://org/repo@refs%2Fpr%2F1/onnx/model.onnx"}),
    "an artifact by its tag": spec(model={"uri": "oci://registry.example:5000/models/iris:1.0"}),
    "an artifact by tag and digest": spec(model={"uri": f"oci://registry.example/models/iris:1@{DIGEST}"}),
    "an image to mount": spec(model={"uri": f"oci+volume://registry.example/models/iris@{DIGEST}"}),
    "a path in an image to mount": spec(
        model={"uri": "oci+volume://registry.example/models/iris:1/models/m.onnx"}
    ),
    "a registered model by its version": spec(model={"uri": "mlflow://models/iris/3"}),
    "a registered model by its alias": spec(model={"uri": "mlflow://models/iris/champion"}),
    "an artifact of a run": spec(model={"uri": "runs:/0123456789abcdef0123456789abcdef/model"}),
    "a digest": spec(model={"digest": DIGEST}),
    "a model name with a dot": spec(model={"name": "iris.v2"}),
    "stopped": spec(replicas=0),
    "the most replicas": spec(replicas=1000),
    "an autoscaler with its one required field": spec(autoscaling={"maxReplicas": 1}),
    "an autoscaler with a metric and a behavior": spec(
        autoscaling={
            "maxReplicas": 3,
            "metrics": [{"type": "External"}],
            "behavior": {"scaleUp": {"policies": []}},
        }
    ),
    "quantities as text and as numbers": spec(
        resources={"requests": {"cpu": "500m"}, "limits": {"cpu": 2, "memory": "1.5Gi"}}
    ),
    "a GPU": spec(resources={"limits": {"nvidia.com/gpu": 1}}),
    "a service type": spec(service={"type": "LoadBalancer", "port": 443}),
    "a toleration": spec(pod={"tolerations": [{"key": "gpu", "operator": "Exists"}]}),
    "paused": spec(paused=True),
    "a rollout": spec(
        rollout={"strategy": "Recreate", "onFailure": "Rollback", "progressDeadlineSeconds": 10}
    ),
    "the longest deadline and history": spec(
        rollout={"progressDeadlineSeconds": 3600}, revisionHistoryLimit=100
    ),
    "automatic image updates": spec(runtime={"updatePolicy": "Auto"}),
}

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({}, "model"),
    "no uri": ({"model": {}}, "uri"),
    "an unknown scheme": (spec(model={"uri": "ftp://models/iris"}), "must start with s3://"),
    "a scheme in capitals": (spec(model={"uri": "S3://models/iris"}), "must start with s3://"),
    "no path in the bucket": (spec(model={"uri": "s3://models"}), "must name a host or bucket and a path"),
    "a bucket and a slash": (spec(model={"uri": "s3://models/"}), "must name a host or bucket and a path"),
    "a path up in the bucket of a claim": (spec(model={"uri": "pvc://models/../other"}), "without '..'"),
    "a path up at the end": (spec(model={"uri": "pvc://models/iris/.."}), "without '..'"),
    "a claim without a path": (spec(model={"uri": "pvc://models/"}), "must name a host or bucket and a path"),
    "a claim in capitals": (spec(model={"uri": "pvc://Models/iris"}), "must name a PersistentVolumeClaim"),
    "a claim of another namespace": (spec(model={"uri": "pvc://team:models/iris"}), "of the same namespace"),
    "a hub without a repository": (spec(model={"uri": "hf://repo"}), "must name a host or bucket and a path"),
    "a hub with a revision of nothing": (spec(model={"uri": "hf://org/repo@"}), "hf://org/repo@v1.0"),
    "a path up in a repository": (spec(model={"uri": "hf://org/repo/../x"}), "without '..'"),
    "an artifact without tag and digest": (
        spec(model={"uri": "oci://registry.example/models/iris"}),
        "a tag or a digest",
    ),
    "an artifact in capitals": (spec(model={"uri": "oci://registry.example/Iris:1"}), "a tag or a digest"),
    "an artifact with half a digest": (
        spec(model={"uri": "oci://registry.example/iris@sha256:abc"}),
        "a tag or a digest",
    ),
    "a path in an artifact": (spec(model={"uri": "oci://registry.example/iris:1/x"}), "a tag or a digest"),
    "an image to mount without a tag": (
        spec(model={"uri": "oci+volume://registry.example/iris/models"}),
        "if wanted a path in the image",
    ),
    "a way out of an image": (
        spec(model={"uri": "oci+volume://registry.example/iris:1/models/../../etc"}),
        "without '..'",
    ),
    "a user of a registry": (
        spec(model={"uri": "oci+volume://me:secret@registry.example/iris:1"}),
        "must not contain a user or password",
    ),
    "a registered model without a version": (
        spec(model={"uri": "mlflow://models/iris"}),
        "one of its versions or aliases",
    ),
    "a run of another server": (spec(model={"uri": "runs://host/run/model"}), "must have one slash"),
    "a run without a path": (spec(model={"uri": "runs:/0123456789abcdef"}), "a path among its artifacts"),
    "a user and a password": (
        spec(model={"uri": "https://me:secret@host/iris"}),
        "spec.model.credentials.secretName",
    ),
    "a user": (spec(model={"uri": "https://me@host/iris"}), "must not contain a user or password"),
    "a signed address": (
        spec(model={"uri": "https://host/iris?a=1&X-Amz-Signature=ab"}),
        "must not carry a secret",
    ),
    "a token in the query": (spec(model={"uri": "https://host/iris?token=ab"}), "must not carry a secret"),
    "a space": (spec(model={"uri": "s3://models/my iris"}), "write a space as %20"),
    "a way out of the folder": (spec(model={"uri": "file:/models/../etc/passwd"}), "without '..'"),
    "a very long uri": (spec(model={"uri": "s3://models/" + "x" * 2048}), "spec.model.uri"),
    "a number as uri": (spec(model={"uri": 5}), "spec.model.uri"),
    "an unknown format": (spec(model={"format": "onx"}), "spec.model.format"),
    "a short digest": (spec(model={"digest": "sha256:abc"}), "64 lower-case hexadecimal digits"),
    "a digest in capitals": (spec(model={"digest": DIGEST.upper()}), "64 lower-case hexadecimal digits"),
    "a digest without its kind": (spec(model={"digest": DIGEST[7:]}), "must be sha256:"),
    "a Secret of another namespace": (
        spec(model={"credentials": {"secretName": "other/s3"}}),
        "in the same namespace",
    ),
    "credentials without a Secret": (spec(model={"credentials": {}}), "secretName"),
    "a signature without a key": (spec(model={"signature": {}}), "publicKey"),
    "a signature by a key of another namespace": (
        spec(model={"signature": {"publicKey": {"secretName": "other/key"}}}),
        "in the same namespace",
    ),
    "a key of the Secret with a slash": (
        spec(model={"signature": {"publicKey": {"secretName": "team", "key": "../x"}}}),
        "must be a key of the Secret",
    ),
    "a signature on a user's server": (
        spec(model={"signature": {"publicKey": {"secretName": "team"}, "uri": "https://me@host/iris.sig"}}),
        "must not contain a user or password",
    ),
    "a model name with a slash": (spec(model={"name": "a/b"}), "letters, digits"),
    "replicas and autoscaling": (spec(replicas=2, autoscaling={"maxReplicas": 3}), "not both"),
    "negative replicas": (spec(replicas=-1), "spec.replicas"),
    "too many replicas": (spec(replicas=1001), "spec.replicas"),
    "replicas as text": (spec(replicas="two"), "spec.replicas"),
    "no maxReplicas": (spec(autoscaling={"minReplicas": 1}), "maxReplicas"),
    "fewer at most than at least": (
        spec(autoscaling={"minReplicas": 3, "maxReplicas": 2}),
        "must not be greater",
    ),
    "scale to zero": (
        spec(autoscaling={"minReplicas": 0, "maxReplicas": 2}),
        "set spec.replicas to 0 to stop",
    ),
    "metrics that are no list": (
        spec(autoscaling={"maxReplicas": 2, "metrics": "cpu"}),
        "spec.autoscaling.metrics",
    ),
    "an unknown resource": (spec(resources={"limits": {"ram": "1Gi"}}), "cpu, memory, ephemeral-storage"),
    "no quantity": (spec(resources={"limits": {"memory": "much"}}), "must be a quantity"),
    "a quantity with a wrong unit": (spec(resources={"limits": {"memory": "1GB"}}), "must be a quantity"),
    "a negative quantity": (spec(resources={"limits": {"memory": "-1Gi"}}), "must be a quantity"),
    "a negative number": (spec(resources={"requests": {"cpu": -1}}), "must be a quantity"),
    "requests above limits": (
        spec(resources={"requests": {"cpu": "1500m"}, "limits": {"cpu": 1}}),
        "requests must not be greater than limits",
    ),
    "a class name in capitals": (spec(runtime={"class": "GPU"}), "must be the name of a runtime class"),
    "an unknown log level": (spec(runtime={"logLevel": "verbose"}), "spec.runtime.logLevel"),
    "an unknown service type": (spec(service={"type": "ExternalName"}), "spec.service.type"),
    "port 0": (spec(service={"port": 0}), "spec.service.port"),
    "a label of the operator": (
        spec(pod={"labels": {"app.kubernetes.io/name": "x"}}),
        "the operator sets those",
    ),
    "an annotation of the operator": (
        spec(pod={"annotations": {"modelyard.dev/revision": "x"}}),
        "the operator sets those",
    ),
    "a long label": (spec(pod={"labels": {"team": "x" * 64}}), "spec.pod.labels"),
    "tolerating everything": (
        spec(pod={"tolerations": [{"operator": "Exists"}]}),
        "must name the key of one taint",
    ),
    "tolerating the control plane": (
        spec(pod={"tolerations": [{"key": "node-role.kubernetes.io/control-plane"}]}),
        "control-plane nodes",
    ),
    "an unknown effect": (spec(pod={"tolerations": [{"key": "a", "effect": "Maybe"}]}), "effect"),
    "a label's value with a space": (
        spec(pod={"labels": {"team.example.com/a": "x y"}}),
        "must be empty or a label's value",
    ),
    "a label's value with a line break at its end": (
        spec(pod={"labels": {"team.example.com/a": "x\n"}}),
        "must be empty or a label's value",
    ),
    "a label's key with a space": (
        spec(pod={"labels": {"team.example.com/a b": "x"}}),
        "must hold keys as Kubernetes has them",
    ),
    "an annotation's key without a name": (
        spec(service={"annotations": {"team.example.com/": "x"}}),
        "must hold keys as Kubernetes has them",
    ),
    "a node label's value with a space": (
        spec(pod={"nodeSelector": {"disk": "a b"}}),
        "must be empty or a label's value",
    ),
    "spread over nothing": (
        spec(pod={"topologySpread": [{"topologyKey": ""}]}),
        "must be a key as Kubernetes has them",
    ),
    "a taint's key with a space": (
        spec(pod={"tolerations": [{"key": "a b"}]}),
        "must name the key of one taint",
    ),
    "seconds for a taint that evicts nobody": (
        spec(pod={"tolerations": [{"key": "a", "tolerationSeconds": 5}]}),
        "must have effect NoExecute",
    ),
    "a taint's value that is not compared": (
        spec(pod={"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}),
        "must have no value where operator is Exists",
    ),
    "half a GPU": (spec(resources={"limits": {"nvidia.com/gpu": "500m"}}), "must be whole numbers"),
    "a GPU asked for and not limited": (
        spec(resources={"requests": {"nvidia.com/gpu": 1}}),
        "must be the same as limits",
    ),
    "a resource of Kubernetes' own": (
        spec(resources={"limits": {"kubernetes.io/cpu": 1}}),
        "an extended resource such as nvidia.com/gpu",
    ),
    "a NUL in the address": (spec(model={"uri": "s3://models/iris\0"}), "control characters"),
    "a Secret with two dots in its name": (
        spec(model={"credentials": {"secretName": "a..b"}}),
        "in the same namespace",
    ),
    "draining for a day": (spec(pod={"drainSeconds": 86400}), "spec.pod.drainSeconds"),
    "an unknown strategy": (spec(rollout={"strategy": "Canary"}), "spec.rollout.strategy"),
    "an unknown way to fail": (spec(rollout={"onFailure": "Retry"}), "spec.rollout.onFailure"),
    "a deadline of 9 s": (
        spec(rollout={"progressDeadlineSeconds": 9}),
        "spec.rollout.progressDeadlineSeconds",
    ),
    "a deadline of more than an hour": (
        spec(rollout={"progressDeadlineSeconds": 3601}),
        "spec.rollout.progressDeadlineSeconds",
    ),
    "no history": (spec(revisionHistoryLimit=0), "spec.revisionHistoryLimit"),
    "an endless history": (spec(revisionHistoryLimit=101), "spec.revisionHistoryLimit"),
    "an unknown update policy": (spec(runtime={"updatePolicy": "Weekly"}), "spec.runtime.updatePolicy"),
    "paused as text": (spec(paused="yes"), "spec.paused"),
}

BAD_NAMES: dict[str, str] = {
    "1iris": "must start with a lower-case letter",
    "iris.v2": "must start with a lower-case letter",
    "i" * 64: "metadata.name",
}
