"""`policyspec`: how rules and ways out are read, and what a wrong one is told."""

import pytest

from modelyard_operator import config, errors, policyspec
from modelyard_operator.policyspec import Policy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "MODELYARD_POLICY"),
        ('{"requireDigests": true}', "requireDigests"),
        ('{"pickle": "Sometimes"}', "'Sometimes'"),
        ('{"requireDigest": ["Prod"]}', "requireDigest: 'Prod' is no pattern of namespaces"),
        ('{"requireSignature": [""]}', "requireSignature: '' is no pattern of namespaces"),
        ('{"allowedURIs": {"A b": []}}', "allowedURIs: 'A b' is no pattern of namespaces"),
        ('{"allowedURIs": {"*": ["s3:models"]}}', "'s3:models' is no pattern of URIs"),
        ('{"allowedURIs": {"*": ["s3://models"]}}', "'s3://models' is no pattern of URIs"),
        ('{"allowedURIs": {"*": ["s3:/models/"]}}', "'s3:/models/' is no pattern of URIs"),
        ('{"allowedURIs": {"*": ["https:///x"]}}', "no pattern of URIs"),
        ('{"allowedURIs": {"*": ["https://a@b/"]}}', "no pattern of URIs"),
        ('{"allowedFormats": {"*": ["pickle"]}}', "'pickle'"),
        ('{"allowedFormats": {"-": ["onnx"]}}', "allowedFormats: '-' is no pattern of namespaces"),
        ('{"allowedSignatureKeys": {"A": []}}', "allowedSignatureKeys: 'A' is no pattern of namespaces"),
        ('{"allowedSignatureKeys": {"*": ["key.pub"]}}', "$.allowedSignatureKeys"),
        ('{"allowedImages": ["a b"]}', "allowedImages: 'a b' is no pattern of images"),
        ('{"allowedAddresses": ["10.0.0.1/8"]}', "allowedAddresses: 10.0.0.1/8 has host bits set"),
        ('{"maxReplicas": -1}', "maxReplicas"),
        ('{"credentialsPrefix": "A_"}', "credentialsPrefix"),
    ],
)
def test_a_rule_that_is_none_keeps_the_operator_from_starting(text: str, words: str) -> None:
    with pytest.raises(errors.ConfigInvalid) as refused:
        policyspec.read_policy({"MODELYARD_POLICY": text})
    assert words in str(refused.value)
    assert str(refused.value).startswith("MODELYARD_POLICY: ")


@pytest.mark.parametrize(
    "text",
    ['{"httpsProxy": "http://u:p@h"}', '{"httpsProxy": "h:1"}', '{"fileRoots": ["models"]}', '{"ca": ""}'],
)
def test_a_way_out_that_is_none_keeps_the_operator_from_starting(text: str) -> None:
    with pytest.raises(errors.ConfigInvalid, match=r"^MODELYARD_FETCH: "):
        policyspec.read_fetch({"MODELYARD_FETCH": text})


def test_rules_come_with_the_operators_settings() -> None:
    env = {
        "MODELYARD_RUNTIME_CLASSES": '{"default": {"image": "x", "serviceAccountName": "models",'
        ' "imagePullSecrets": ["registry"], "podLabels": {"a": "b"}}}',
        "MODELYARD_LEADER_ELECTION": "false",
        "MODELYARD_POLICY": '{"allowedURIs": {"*": ["s3://models/"]}, "requireDigest": ["prod-*"], "maxReplicas": 3}',
        "MODELYARD_FETCH": '{"fileRoots": [], "noProxy": ".example.com"}',
    }
    settings = config.from_env(env)
    assert settings.policy == Policy(
        allowed_uris={"*": ("s3://models/",)}, require_digest=("prod-*",), max_replicas=3
    )
    assert settings.fetch == policyspec.Fetch(file_roots=(), no_proxy=".example.com")
    offer = settings.runtime_classes["default"]
    assert (offer.service_account_name, offer.image_pull_secrets, offer.pod_labels) == (
        "models",
        ("registry",),
        {"a": "b"},
    )
