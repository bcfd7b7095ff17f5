"""Volumes that hold an artifact already: which there are, where they are mounted, and who may pull."""

from typing import Any

import pytest

from modelyard_operator import api, naming
from modelyard_operator.desired import sources

DIGEST = "sha256:" + "a" * 64


def spec(uri: str, samples: str = "", secret: str = "") -> Any:
    model: dict[str, Any] = {"uri": uri} | ({"credentials": {"secretName": secret}} if secret else {})
    fields: dict[str, Any] = {"model": model} | ({"validation": {"samplesURI": samples}} if samples else {})
    metadata = {"namespace": "default", "name": "iris", "uid": "u", "generation": 1}
    return api.parse({"metadata": metadata, "spec": fields}).spec


@pytest.mark.parametrize(
    "uri", ["s3://b/pvc://x/y", "https://host/pvc://x/y", "oci://r/iris:1", "hf://o/r", "file:/pvc"]
)
def test_what_fetch_fetches_itself_needs_no_volume(uri: str) -> None:
    asked = spec(uri, secret="s")
    assert (sources.volumes(asked), sources.mounts(asked)) == ([], [])
    assert sources.with_pull_secrets({"a": 1}, asked) == {"a": 1}


def test_a_claim_is_mounted_read_only_by_its_name() -> None:
    asked = spec("pvc://team.models/iris/model.joblib", secret="s")
    assert sources.volumes(asked) == [
        {"name": "source-0", "persistentVolumeClaim": {"claimName": "team.models", "readOnly": True}}
    ]
    assert sources.mounts(asked) == [
        {"name": "source-0", "mountPath": "/mnt/claim/team.models", "readOnly": True}
    ]
    assert sources.with_pull_secrets({}, asked) == {}


def test_a_claim_that_has_the_samples_too_is_mounted_once_and_another_one_beside_it() -> None:
    one = spec("pvc://models/iris.joblib", "pvc://models/samples.json")
    assert len(sources.volumes(one)) == 1
    two = spec("pvc://models/iris.joblib", "pvc://samples/iris.json")
    assert [mount["mountPath"] for mount in sources.mounts(two)] == [
        "/mnt/claim/models",
        "/mnt/claim/samples",
    ]
    beside = spec("s3://b/iris.joblib", "pvc://samples/iris.json")
    assert [mount["mountPath"] for mount in sources.mounts(beside)] == ["/mnt/claim/samples"]


def test_a_signature_in_another_claim_is_mounted_too() -> None:
    model = {
        "uri": "pvc://models/iris.joblib",
        "signature": {"publicKey": {"secretName": "signer"}, "uri": "pvc://signatures/iris.sig"},
    }
    metadata = {"namespace": "default", "name": "iris", "uid": "u", "generation": 1}
    asked = api.parse({"metadata": metadata, "spec": {"model": model}}).spec
    assert [mount["mountPath"] for mount in sources.mounts(asked)] == [
        "/mnt/claim/models",
        "/mnt/claim/signatures",
    ]


@pytest.mark.parametrize(
    ("reference", "path", "policy"),
    [
        ("registry.example:5000/a/iris:1.0", "", "Always"),
        ("registry.example/iris:1.0", "/models/x.onnx", "Always"),
        (f"registry.example/iris@{DIGEST}", "", "IfNotPresent"),
        (f"registry.example/iris:1.0@{DIGEST}", "/models", "IfNotPresent"),
    ],
)
def test_an_image_is_a_volume_of_its_own(reference: str, path: str, policy: str) -> None:
    asked = spec(f"oci+volume://{reference}{path}")
    assert sources.volumes(asked) == [
        {"name": "source-0", "image": {"reference": reference, "pullPolicy": policy}}
    ]
    (mount,) = sources.mounts(asked)
    assert mount["mountPath"] == naming.image_path(reference)
    assert mount["readOnly"]


def test_the_node_pulls_with_the_models_credentials_and_with_those_of_the_class() -> None:
    asked = spec("oci+volume://r/iris:1", secret="registry")
    assert sources.with_pull_secrets({}, asked) == {"imagePullSecrets": [{"name": "registry"}]}
    given = {"imagePullSecrets": [{"name": "of-the-class"}]}
    assert sources.with_pull_secrets(given, asked)["imagePullSecrets"] == [
        {"name": "of-the-class"},
        {"name": "registry"},
    ]
    assert given == {"imagePullSecrets": [{"name": "of-the-class"}]}
    assert sources.with_pull_secrets({}, spec("oci+volume://r/iris:1")) == {}
