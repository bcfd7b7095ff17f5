"""The administrator's rules mean the same to the operator and to the runtime: patterns, and what is told."""

import pytest

from modelyard_operator import api, config, naming, policy, policyspec, uri_patterns
from modelyard_operator.desired import pod
from modelyard_runtime import errors, fetchsettings
from modelyard_runtime import settings as runtime_settings
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


def _environments(settings: config.OperatorConfig, **model: object) -> dict[str, dict[str, str]]:
    """Give what each container is told, by its name."""
    metadata = {"name": "iris", "namespace": "default", "uid": "u", "generation": 1}
    parsed = api.parse({"metadata": metadata, "spec": {"model": {"uri": "s3://models/x", **model}}})
    body = pod.render(parsed, "iris-0123456789", settings)["spec"]
    return {
        container["name"]: {each["name"]: each["value"] for each in container["env"] if "value" in each}
        for container in (*body["initContainers"], *body["containers"])
    }


def test_fetch_reads_every_rule_that_is_rendered_for_it() -> None:
    ruled = policyspec.Policy(
        require_digest=True,
        require_signature=("def*",),
        allowed_uris={"*": ("s3://models/", "hf://org/*"), "prod-*": ("s3://prod/",)},
        allowed_formats={"default": ("onnx", "skops")},
        allowed_signature_keys={"*": ("a" * 64,), "prod-*": ("b" * 64,), "def*": ("c" * 64,)},
    )
    settings = config.OperatorConfig(runtime_classes={"default": config.RuntimeClass("x")}, policy=ruled)
    read = fetchsettings.read(_environments(settings)[naming.FETCH])
    assert read.rules == fetchsettings.Rules(
        ("s3://models/", "hf://org/*"), ("onnx", "skops"), True, True, ("a" * 64, "c" * 64)
    )


def test_fetch_goes_out_as_the_administrator_says() -> None:
    offer = config.RuntimeClass("x", service_account_name="models")
    ruled = policyspec.Policy(allowed_addresses=("10.0.0.0/8", "127.0.0.0/8"))
    way = policyspec.Fetch(
        ca_bundle="-----BEGIN CERTIFICATE-----\n$(HOME)",
        https_proxy="http://proxy:3128",
        no_proxy=".example.com",
        file_roots=(),
    )
    settings = config.OperatorConfig(runtime_classes={"default": offer}, policy=ruled, fetch=way)
    told = {name: value.replace("$$", "$") for name, value in _environments(settings)[naming.FETCH].items()}
    read = fetchsettings.read(told)
    assert read.egress == fetchsettings.EgressSettings(
        allowed_addresses="10.0.0.0/8,127.0.0.0/8",
        https_proxy="http://proxy:3128",
        no_proxy=".example.com",
        ca_bundle="-----BEGIN CERTIFICATE-----\n$(HOME)",
        pod_identity=True,
    )
    assert read.file_roots == ()
    plain = config.OperatorConfig(runtime_classes={"default": config.RuntimeClass("x")})
    default = fetchsettings.read(_environments(plain)[naming.FETCH])
    assert (default.egress, default.rules) == (fetchsettings.EgressSettings(), fetchsettings.Rules())
    assert tuple(map(str, default.file_roots)) == policyspec.Fetch().file_roots


@pytest.mark.parametrize("rule", policyspec.Pickle.__args__)  # type: ignore[attr-defined]
@pytest.mark.parametrize("digest", [None, "sha256:" + "a" * 64])
def test_whoever_loads_knows_the_pickle_rule_and_whether_the_model_is_pinned(
    rule: policyspec.Pickle, digest: str | None
) -> None:
    ruled = policyspec.Policy(pickle=rule)
    settings = config.OperatorConfig(runtime_classes={"default": config.RuntimeClass("x")}, policy=ruled)
    told = _environments(settings, **({"digest": digest} if digest else {}))
    prepare = runtime_settings.prepare_settings(told[naming.PREPARE])
    serve = runtime_settings.serve_settings(told[naming.SERVE])
    assert (prepare.pickle_rule, serve.pickle_rule) == (rule, rule)
    assert (prepare.is_pinned, serve.is_pinned) == (digest is not None, digest is not None)


def test_both_sides_know_the_same_pickle_rules() -> None:
    assert policyspec.Pickle.__args__ == runtime_settings.PICKLE_RULES  # type: ignore[attr-defined]
