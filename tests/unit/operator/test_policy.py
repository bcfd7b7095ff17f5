"""`policy`: which rule a resource breaks, and in which words."""

import itertools
import re
from typing import Any

import pytest

from modelyard_operator import api, errors, policy, policyspec, uri_patterns
from modelyard_operator.policyspec import Policy
from tests.support import policy_corpus

DIGEST = "sha256:" + "a" * 64
IMAGE = "registry.example/modelyard/runtime:1"
SECRETS: dict[str, dict[str, Any]] = {
    "spec.model.credentials.secretName": {
        "model": {"uri": "s3://models/x", "credentials": {"secretName": "db"}}
    },
    "spec.model.signature.publicKey.secretName": {
        "model": {"uri": "s3://models/x", "signature": {"publicKey": {"secretName": "db"}}}
    },
    "spec.access.tokens.secretName": {"access": {"tokens": {"secretName": "db"}}},
    "spec.access.tls.secretName": {"access": {"tls": {"secretName": "db"}}},
}


def parsed(namespace: str = "team-a", **spec: Any) -> api.ModelDeployment:
    metadata = {"name": "iris", "namespace": namespace, "uid": "u", "generation": 1}
    return api.parse({"metadata": metadata, "spec": {"model": {"uri": "s3://models/x"}, **spec}})


def told(model_deployment: api.ModelDeployment, rules: Policy, image: str = IMAGE) -> str:
    """Give the words of the first broken rule, empty when none is."""
    broken = policy.violation(model_deployment, image, rules)
    assert broken is None or broken.reason == "PolicyViolation"
    return broken.message if broken else ""


@pytest.mark.parametrize("case", policy_corpus.CASES, ids=str)
def test_a_uri_is_covered_by_a_pattern_or_is_not(case: policy_corpus.Case) -> None:
    covered = not uri_patterns.is_ambiguous(case.uri) and uri_patterns.allows_uri(case.pattern, case.uri)
    assert covered is case.is_allowed


def test_the_corpus_is_worth_its_name() -> None:
    assert len(policy_corpus.BYPASSES) >= 60
    assert len(set(policy_corpus.CASES)) == len(policy_corpus.CASES)


def test_without_rules_nothing_is_forbidden() -> None:
    specs: tuple[dict[str, Any], ...] = (
        {},
        {"access": {"tokens": {"secretName": "any"}}},
        {"replicas": 1000},
    )
    for spec in specs:
        model_deployment = parsed(**spec)
        assert told(model_deployment, Policy()) == ""
        policy.check_size(model_deployment, Policy())


@pytest.mark.parametrize(
    ("namespace", "uri", "allowed"),
    [
        ("team-a", "s3://shared/x", True),
        ("team-a", "s3://team-a/x", True),
        ("team-a", "s3://team-b/x", False),
        ("team-b", "s3://team-a/x", False),
        ("team-b", "s3://teams/x", True),
        ("other", "s3://shared/x", True),
        ("other", "s3://teams/x", False),
    ],
)
def test_a_namespace_may_use_what_is_listed_for_every_pattern_that_covers_it(
    namespace: str, uri: str, allowed: bool
) -> None:
    listed = {"*": ("s3://shared/",), "team-*": ("s3://teams/",), "team-a": ("s3://team-a/",)}
    message = told(parsed(namespace, model={"uri": uri}), Policy(allowed_uris=listed))
    assert (message == "") is allowed
    if not allowed:
        assert message.startswith("policy.allowedURIs: spec.model.uri is not under what namespace")
        assert "s3://shared/" in message


def test_once_something_is_listed_what_is_not_is_refused() -> None:
    message = told(parsed("team-a"), Policy(allowed_uris={"prod-*": ("s3://models/",)}))
    assert "namespace team-a may use: nothing yet" in message


def test_a_namespace_for_which_no_key_is_listed_may_use_none() -> None:
    rules = Policy(allowed_signature_keys={"prod-*": ("a" * 64,), "team-*": ()})
    signed = {"model": {"uri": "s3://models/x", "signature": {"publicKey": {"secretName": "k"}}}}
    message = told(parsed("team-a", **signed), rules)
    assert message.startswith("policy.allowedSignatureKeys: spec.model.signature names a public key")
    assert "namespace team-a may use: nothing yet" in message
    assert told(parsed("prod-a", **signed), rules) == ""
    assert told(parsed("team-a"), rules) == ""


def test_the_uri_of_the_samples_is_under_the_same_rule() -> None:
    rules = Policy(allowed_uris={"*": ("s3://models/",)})
    other = parsed(validation={"samplesURI": "s3://other/samples.json"})
    assert told(other, rules).startswith("policy.allowedURIs: spec.validation.samplesURI is not under")
    assert told(parsed(validation={"samplesURI": "s3://models/samples.json"}), rules) == ""
    unclear = parsed(validation={"samplesURI": "s3://models/../samples.json"})
    assert told(unclear, rules).startswith(
        "policy.allowedURIs: spec.validation.samplesURI may lead elsewhere"
    )


@pytest.mark.parametrize(
    ("where", "pinned", "namespace", "allowed"),
    [
        (where, pinned, namespace, pinned or not holds)
        for (where, holding), pinned, namespace in itertools.product(
            [(True, {"prod-a", "dev"}), (False, set()), (("prod-*",), {"prod-a"}), ((), set())],
            (True, False),
            ("prod-a", "dev"),
        )
        for holds in (namespace in holding,)
    ],
)
def test_a_digest_is_required_where_the_rule_holds(
    where: policyspec.Where, pinned: bool, namespace: str, allowed: bool
) -> None:
    model = {"uri": "s3://models/x", **({"digest": DIGEST} if pinned else {})}
    message = told(parsed(namespace, model=model), Policy(require_digest=where))
    assert (message == "") is allowed
    assert allowed or message.startswith(
        f"policy.requireDigest: spec.model.digest must pin the artifact in namespace {namespace}"
    )


def test_a_signature_is_required_where_the_rule_holds() -> None:
    rules = Policy(require_signature=("prod-*",))
    signed = {"uri": "s3://models/x", "signature": {"publicKey": {"secretName": "key"}}}
    assert told(parsed("dev"), rules) == ""
    assert told(parsed("prod-a", model=signed), rules) == ""
    message = told(parsed("prod-a"), rules)
    assert message.startswith(
        "policy.requireSignature: spec.model.signature must name a public key in namespace"
    )


def test_the_uri_of_the_signature_is_under_the_same_rule() -> None:
    rules = Policy(allowed_uris={"*": ("s3://models/",)})
    for uri, words in (
        ("s3://models/x.sig", ""),
        ("https://host/x.sig", "spec.model.signature.uri is not under"),
    ):
        signed = {"uri": "s3://models/x", "signature": {"uri": uri, "publicKey": {"secretName": "key"}}}
        assert words in told(parsed(model=signed), rules)


@pytest.mark.parametrize("rule", ["Restricted", "Pinned", "Never", "Any"])
@pytest.mark.parametrize("model_format", ["sklearn", "skops", "onnx", "mlflow", None])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_format_that_is_always_a_pickle_is_told_before_a_pod_is_started(
    rule: policyspec.Pickle, model_format: str | None, pinned: bool
) -> None:
    model: dict[str, Any] = {"uri": "s3://models/x", **({"digest": DIGEST} if pinned else {})}
    if model_format:
        model["format"] = model_format
    refused = model_format == "sklearn" and (rule == "Never" or (rule == "Pinned" and not pinned))
    message = told(parsed(model=model), Policy(pickle=rule))
    assert bool(message) is refused
    assert not refused or message.startswith("policy.pickle: sklearn files are pickles")


@pytest.mark.parametrize("field", SECRETS)
@pytest.mark.parametrize(("prefix", "allowed"), [("", True), ("d", True), ("db", True), ("models-", False)])
def test_every_secret_that_an_author_names_begins_as_the_administrator_says(
    field: str, prefix: str, allowed: bool
) -> None:
    message = told(parsed(**SECRETS[field]), Policy(credentials_prefix=prefix))
    assert (message == "") is allowed
    assert allowed or message.startswith(f"policy.credentialsPrefix: {field} must start with models-")


def test_only_formats_that_are_listed_may_be_asked_for() -> None:
    rules = Policy(allowed_formats={"*": ("onnx",), "team-a": ("skops",)})
    for model_format, allowed in (("onnx", True), ("skops", True), ("sklearn", False)):
        model = {"uri": "s3://models/x", "format": model_format}
        message = told(parsed(model=model), rules)
        assert (message == "") is allowed
        assert allowed or "may use: onnx, skops." in message
    assert told(parsed(), rules) == ""  # the runtime tells it from the artifact
    others = Policy(allowed_formats={"other": ("onnx",)})
    assert "namespace team-a may use: nothing yet" in told(parsed(), others)


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (IMAGE, True),
        ("registry.example/", True),
        ("registry.example/modelyard/*", True),
        ("registry.example/*", False),
        ("registry.example/modelyard/runtime@sha256:*", False),
        ("registry.example/modelyard/runtime", False),
        ("registry", False),
    ],
)
def test_only_images_that_are_allowed_run(pattern: str, allowed: bool) -> None:
    message = told(parsed(), Policy(allowed_images=(pattern,)))
    assert (message == "") is allowed
    assert allowed or message.startswith(
        f"policy.allowedImages: the runtime image {IMAGE} is none of {pattern}."
    )
    assert told(parsed(), Policy(allowed_images=(pattern,)), image="") == ""


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"replicas": 10}, ""),
        ({"replicas": 11}, "spec.replicas"),
        ({"autoscaling": {"maxReplicas": 10}}, ""),
        ({"autoscaling": {"maxReplicas": 11}}, "spec.autoscaling.maxReplicas"),
        ({}, ""),
    ],
)
def test_no_model_has_more_pods_than_the_rules_allow(spec: dict[str, Any], field: str) -> None:
    rules = Policy(max_replicas=10)
    if not field:
        policy.check_size(parsed(**spec), rules)
        return
    with pytest.raises(errors.Stalled, match=re.escape(f"policy.maxReplicas: {field} must be 10 or less")):
        policy.check_size(parsed(**spec), rules)


def test_every_rule_says_its_name_and_what_to_do() -> None:
    rules = Policy(
        pickle="Never",
        require_digest=True,
        require_signature=True,
        allowed_uris={"*": ("hf://org/",)},
        allowed_formats={"*": ("onnx",)},
        allowed_images=("other/",),
        credentials_prefix="modelyard-",
    )
    spec: dict[str, Any] = {
        "model": {"uri": "s3://models/x", "format": "sklearn", "credentials": {"secretName": "db"}}
    }
    messages = list(policy._broken(parsed(**spec), IMAGE, rules))
    names = [message.partition(":")[0] for message in messages]
    assert names == [
        f"policy.{rule}"
        for rule in (
            "allowedURIs",
            "allowedFormats",
            "requireDigest",
            "requireSignature",
            "pickle",
            "credentialsPrefix",
            "allowedImages",
        )
    ]
    assert all(re.search(r"ask the administrator|Write |Save |Set |Choose ", message) for message in messages)
