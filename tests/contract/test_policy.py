"""The administrator's rules mean the same to the operator and to the runtime: patterns, and what is told."""

import pytest

from modelyard_operator import api, config, naming, policy, policyspec, uri_patterns
from modelyard_operator.desired import pod
from modelyard_runtime import errors, fetchsettings
from modelyard_runtime.artifact import patterns
from modelyard_runtime.artifact import policy as asked_again
from tests.support import policy_corpus


@pytest.mark.parametrize("case", policy_corpus.CASES, ids=str)
def test_a_pattern_covers_the_same_uris_on_both_sides(case: policy_corpus.Case) -> None:
    by_operator = not uri_patterns.is_ambiguous(case.uri) and uri_patterns.allows_uri(case.pattern, case.uri)
    by_runtime = not patterns.is_ambiguous(case.uri) and patterns.allows(case.pattern, case.uri)
    assert by_operator is by_runtime is case.is_allowed


def _ask(options: fetchsettings.FetchSettings) -> None:
    asked_again.check(options)
    asked_again.check_format(options.rules, "sklearn")


@pytest.mark.parametrize(
    ("model", "rules"),
    [
        ({"uri": "s3://other/x"}, {"allowed_uris": {"*": ("s3://models/", "hf://org/*")}}),
        ({"uri": "https://host/%2e%2e/x"}, {"allowed_uris": {"*": ("https://host/",)}}),
        ({"uri": "s3://models/x"}, {"require_digest": ("def*",)}),
        ({"uri": "s3://models/x"}, {"require_signature": True}),
        (
            {
                "uri": "s3://models/x",
                "signature": {"uri": "s3://o/x.sig", "publicKey": {"secretName": "k"}},
            },
            {"allowed_uris": {"*": ("s3://models/",)}},
        ),
        ({"uri": "s3://models/x"}, {"allowed_formats": {"*": ("onnx",)}}),
    ],
    ids=str,
)
def test_the_pod_refuses_by_the_rule_by_which_the_operator_does(
    model: dict[str, object], rules: dict[str, object]
) -> None:
    ruled = policyspec.Policy(**rules)  # type: ignore[arg-type]
    settings = config.OperatorConfig(runtime_classes={"default": config.RuntimeClass("x")}, policy=ruled)
    metadata = {"name": "iris", "namespace": "default", "uid": "u", "generation": 1}
    parsed = api.parse({"metadata": metadata, "spec": {"model": model}})
    told = policy.violation(parsed, "x", ruled)
    # As by another way than the operator's, which would not have let it come to a pod.
    template = pod.render(parsed, "iris-0123456789", settings)
    (fetch,) = [each for each in template["spec"]["initContainers"] if each["name"] == naming.FETCH]
    options = fetchsettings.read({each["name"]: each["value"] for each in fetch["env"] if "value" in each})
    with pytest.raises(errors.StartFailure) as refused:
        _ask(options)
    assert refused.value.reason is errors.Reason.POLICY_VIOLATION
    assert refused.value.reason.value == policy.REASON
    rule = refused.value.message.partition(":")[0]
    assert rule.startswith("policy.")
    if "allowed_formats" in rules:
        assert told is None  # nobody has said of which format it is: only the runtime can tell
    else:
        assert told is not None
        assert told.message.partition(":")[0] == rule
        assert told.message.split(": ")[1][:30] == refused.value.message.split(": ")[1][:30]


def test_fetch_reads_every_rule_that_is_rendered_for_it() -> None:
    ruled = policyspec.Policy(
        require_digest=True,
        require_signature=("def*",),
        allowed_uris={"*": ("s3://models/", "hf://org/*"), "prod-*": ("s3://prod/",)},
        allowed_formats={"default": ("onnx", "skops")},
    )
    settings = config.OperatorConfig(runtime_classes={"default": config.RuntimeClass("x")}, policy=ruled)
    metadata = {"name": "iris", "namespace": "default", "uid": "u", "generation": 1}
    parsed = api.parse({"metadata": metadata, "spec": {"model": {"uri": "s3://models/x"}}})
    (fetch,) = [
        each
        for each in pod.render(parsed, "iris-0123456789", settings)["spec"]["initContainers"]
        if each["name"] == naming.FETCH
    ]
    read = fetchsettings.read({each["name"]: each["value"] for each in fetch["env"] if "value" in each})
    assert read.rules == fetchsettings.Rules(("s3://models/", "hf://org/*"), ("onnx", "skops"), True, True)
