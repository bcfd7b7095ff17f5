"""Every field of the CRD has a wrong value and a test of what it gets; and what no schema has looked at is borne.

The resources of the second half come from the API server in forms that today's CRD would refuse: an older or newer CRD
let them in. Whatever they hold, the operator says SpecInvalid and goes on.
"""

import copy
import json
from typing import Any

import msgspec
import pytest

from modelyard_operator import api, conditions, errors
from tests.support import crd_fields, crd_mutations

GONE = object()  # instead of a wrong value: the field is left out
NONE_IS_WRONG = {"spec.validation.samples[0].expect"}  # any JSON value is right

# One wrong value for each field, and words of its refusal. A field that is new in the CRD has to be entered here.
WRONG: dict[str, tuple[Any, str]] = {
    "spec.model": (GONE, "model"),
    "spec.model.uri": ("ftp://models/iris", "must start with s3://"),
    "spec.model.format": ("pickle", "format"),
    "spec.model.digest": ("sha256:abc", "64 lower-case hexadecimal digits"),
    "spec.model.credentials": ("models-s3", "credentials"),
    "spec.model.credentials.secretName": ("other/s3", "in the same namespace"),
    "spec.model.signature": (True, "signature"),
    "spec.model.signature.publicKey": (GONE, "publicKey"),
    "spec.model.signature.publicKey.secretName": ("other/key", "in the same namespace"),
    "spec.model.signature.publicKey.key": ("keys/team", "a key of the Secret"),
    "spec.model.signature.uri": ("model.sig", "must start with s3://"),
    "spec.model.name": ("a/b", "letters, digits"),
    "spec.replicas": (-1, "replicas"),
    "spec.autoscaling": ([], "autoscaling"),
    "spec.autoscaling.maxReplicas": (1001, "maxReplicas"),
    "spec.autoscaling.minReplicas": (0, "set spec.replicas to 0"),
    "spec.autoscaling.targetCPUUtilization": (0, "targetCPUUtilization"),
    "spec.autoscaling.metrics": ("cpu", "metrics"),
    "spec.autoscaling.metrics[0]": ("cpu", "metrics"),
    "spec.autoscaling.behavior": ("fast", "behavior"),
    "spec.resources": ("much", "resources"),
    "spec.resources.requests": ({"ram": 1}, "cpu, memory, ephemeral-storage"),
    "spec.resources.requests.cpu": ("-1", "must be a quantity"),
    "spec.resources.limits": ({"nvidia.com/gpu": "0.5"}, "whole numbers"),
    "spec.resources.limits.cpu": ("2 cores", "must be a quantity"),
    "spec.runtime": ("gpu", "runtime"),
    "spec.runtime.class": ("GPU", "must be the name of a runtime class"),
    "spec.runtime.workers": (0, "workers"),
    "spec.runtime.batching": (64, "batching"),
    "spec.runtime.batching.maxSize": (0, "maxSize"),
    "spec.runtime.accelerate": ("On", "accelerate"),
    "spec.runtime.versionPolicy": ("Ignore", "versionPolicy"),
    "spec.runtime.trialSeconds": (601, "trialSeconds"),
    "spec.runtime.logLevel": ("loud", "logLevel"),
    "spec.runtime.updatePolicy": ("Sometimes", "updatePolicy"),
    "spec.service": ("LoadBalancer", "service"),
    "spec.service.type": ("ExternalName", "type"),
    "spec.service.port": (65536, "port"),
    "spec.service.annotations": ({"modelyard.dev/x": ""}, "the operator sets those"),
    "spec.service.annotations.team.example.com/key": ("x" * 4097, "annotations"),
    "spec.access": ("tokens", "access"),
    "spec.access.tokens": ("s3cret", "tokens"),
    "spec.access.tokens.secretName": ("other/tokens", "in the same namespace"),
    "spec.access.tls": (True, "tls"),
    "spec.access.tls.secretName": ("Certificate", "in the same namespace"),
    "spec.access.tls.clientCertificates": ("Optional", "clientCertificates"),
    "spec.validation": ([], "validation"),
    "spec.validation.samples": ({}, "samples"),
    "spec.validation.samples[0]": ([1], "samples"),
    "spec.validation.samples[0].inputs": (GONE, "inputs"),
    "spec.validation.samples[0].tolerance": (2, "tolerance"),
    "spec.validation.samplesURI": ("samples.json", "must start with s3://"),
    "spec.rollout": ("Canary", "rollout"),
    "spec.rollout.strategy": ("BlueGreen", "strategy"),
    "spec.rollout.onFailure": ("Ignore", "onFailure"),
    "spec.rollout.progressDeadlineSeconds": (0, "progressDeadlineSeconds"),
    "spec.revisionHistoryLimit": (0, "revisionHistoryLimit"),
    "spec.pod": ([], "pod"),
    "spec.pod.labels": ({"app.kubernetes.io/name": "x"}, "the operator sets those"),
    "spec.pod.labels.team.example.com/key": ("a b", "a label's value"),
    "spec.pod.annotations": ({"a b": ""}, "keys as Kubernetes has them"),
    "spec.pod.annotations.team.example.com/key": (5, "annotations"),
    "spec.pod.nodeSelector": ({"": "x"}, "keys as Kubernetes has them"),
    "spec.pod.nodeSelector.disk": ("ssd!", "a label's value"),
    "spec.pod.tolerations": ({}, "tolerations"),
    "spec.pod.tolerations[0]": ({}, "must name the key of one taint"),
    "spec.pod.tolerations[0].key": ("node-role.kubernetes.io/master", "control-plane nodes"),
    "spec.pod.tolerations[0].operator": ("Like", "operator"),
    "spec.pod.tolerations[0].value": ("a b", "a label's value"),
    "spec.pod.tolerations[0].effect": ("Maybe", "effect"),
    "spec.pod.tolerations[0].tolerationSeconds": (-1, "tolerationSeconds"),
    "spec.pod.topologySpread": ({}, "topologySpread"),
    "spec.pod.topologySpread[0]": ("zone", "topologySpread"),
    "spec.pod.topologySpread[0].topologyKey": ("a zone", "a key as Kubernetes has them"),
    "spec.pod.topologySpread[0].maxSkew": (0, "maxSkew"),
    "spec.pod.topologySpread[0].whenUnsatisfiable": ("Retry", "whenUnsatisfiable"),
    "spec.pod.drainSeconds": (3601, "drainSeconds"),
    "spec.paused": ("yes", "paused"),
}


def parse(spec: Any, name: str = "iris") -> api.ModelDeployment:
    metadata = {"namespace": "default", "name": name, "uid": "u", "generation": 1}
    return api.parse({"metadata": metadata, "spec": spec})


def test_every_field_of_the_crd_has_a_wrong_value_here() -> None:
    assert sorted(WRONG) == sorted({field.name for field in crd_fields.fields()} - NONE_IS_WRONG)


@pytest.mark.parametrize(
    "field",
    [field for field in crd_fields.fields() if field.name not in NONE_IS_WRONG],
    ids=lambda field: field.name,
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(field: crd_fields.Field) -> None:
    value, words = WRONG[field.name]
    ground = crd_fields.full("autoscaling" if "autoscaling" in field.path else "replicas")
    spec = (
        crd_fields.without(ground, field.path)
        if value is GONE
        else crd_fields.with_value(ground, field.path, value)
    )
    with pytest.raises(errors.Stalled) as refused:
        parse(spec)
    assert refused.value.reason == conditions.SPEC_INVALID
    assert words in refused.value.message
    holder = crd_fields.dotted(field.path[:-1])
    assert refused.value.message.startswith(holder)


@pytest.mark.parametrize("chosen", ["replicas", "autoscaling"])
def test_no_field_of_the_crd_is_lost_in_the_reading(chosen: str) -> None:
    spec = crd_fields.full(chosen)
    read = msgspec.to_builtins(parse(spec).spec)
    # What is at its default is left out, because absent and default are one intent.
    lost = [path for path in _leaves(spec) if path not in set(_leaves(read))]
    for path in lost:
        without = crd_fields.without(spec, path)
        assert parse(without) == parse(spec), f"{crd_fields.dotted(path)} is accepted and ignored"
    assert len(lost) < len(list(_leaves(spec))) / 3


def _leaves(node: Any, path: crd_fields.Path = ("spec",)) -> list[crd_fields.Path]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    below = [leaf for key, child in children for leaf in _leaves(child, (*path, key))]
    return below or [path]


def test_whatever_the_spec_is_the_reading_ends_well_or_in_a_word_for_people() -> None:
    for mutation in crd_mutations.mutations():
        before = copy.deepcopy(mutation.spec)
        refusal = refusal_of(mutation.spec)
        assert refusal is None or refusal.reason == conditions.SPEC_INVALID, mutation.sentence
        # A message that repeats what was written could be as long as that, and as secret.
        assert refusal is None or len(refusal.message) < 1000, mutation.sentence
        assert mutation.spec == before, mutation.sentence


def refusal_of(spec: Any) -> errors.Stalled | None:
    try:
        parse(spec)
    except errors.Stalled as refused:
        return refused
    return None


@pytest.mark.parametrize(
    "spec", [None, "", "text", 5, 0.5, True, [], [{}], {}, {"model": None}, {"model": []}]
)
def test_a_spec_of_another_shape_is_stalled(spec: Any) -> None:
    with pytest.raises(errors.Stalled, match=r"^SpecInvalid: spec"):
        parse(spec)


def test_a_field_of_a_newer_crd_is_let_be() -> None:
    spec = {**crd_fields.small(), "surprise": {"deep": [1]}, "pod": {"surprise": 1}}
    assert parse(spec) == parse({**crd_fields.small(), "pod": {}})


@pytest.mark.parametrize("name", ["n" * 253, "a.b", "1iris", "ünïcode", "iris\n", ""])
def test_a_name_that_an_older_crd_let_in_is_stalled(name: str) -> None:
    with pytest.raises(errors.Stalled, match=r"metadata\.name"):
        parse(crd_fields.small(), name)


def test_a_value_of_a_megabyte_is_refused_in_a_line() -> None:
    spec = crd_fields.with_value(crd_fields.small(), ("spec", "model", "uri"), "s3://models/" + "x" * 2**20)
    with pytest.raises(errors.Stalled) as refused:
        parse(spec)
    assert len(refused.value.message) < 300


def test_a_spec_nested_ten_thousand_deep_is_stalled() -> None:
    deep: Any = 1
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(errors.Stalled):
        parse({"model": {"uri": deep}})


@pytest.mark.parametrize("text", ["\ud800", "s3://b/\udfff"])
def test_half_a_character_is_no_reason_to_fall(text: str) -> None:
    refusal = refusal_of(json.loads(json.dumps({"model": {"uri": text}})))
    assert refusal is None or refusal.reason == conditions.SPEC_INVALID


def test_a_refusal_of_the_shape_is_told_from_a_fault_of_the_server() -> None:
    shape = "failed to create typed patch object (a/b): .spec.metrics[0].x: field not declared in schema"
    assert errors.ClusterError("apply", 500, shape).is_refusal
    assert not errors.ClusterError("apply", 500, "etcdserver: leader changed").is_refusal
