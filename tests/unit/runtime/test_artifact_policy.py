"""The administrator's rules where the artifact is fetched: before anything is opened, and once its format is known."""

import dataclasses
import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from modelyard_runtime import errors, fetchsettings
from modelyard_runtime.artifact import fetch
from tests.support import signing

ENVIRONMENT = {"MODELYARD_MODEL_URI": "pvc://models/iris/model.pkl"}


@pytest.fixture
def options(tmp_path: Path) -> fetchsettings.FetchSettings:
    """The settings of a fetch that would succeed."""
    model = tmp_path / "mounted" / "claim" / "models" / "iris" / "model.pkl"
    model.parent.mkdir(parents=True)
    model.write_bytes(pickle.dumps({"a": 1}))
    return fetchsettings.FetchSettings(
        uri=ENVIRONMENT["MODELYARD_MODEL_URI"],
        artifact_dir=tmp_path / "artifact",
        mount_dir=tmp_path / "mounted",
    )


def run(options: fetchsettings.FetchSettings, **rules: object) -> None:
    ruled = dataclasses.replace(options, rules=fetchsettings.Rules(**rules))  # type: ignore[arg-type]
    fetch.fetch(ruled, {}, lambda _stage: None)


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"allowed_uris": ("s3://models/", "pvc://models/")},
        {"allowed_formats": ("onnx", "sklearn")},
    ],
    ids=str,
)
def test_what_the_rules_allow_is_fetched(
    options: fetchsettings.FetchSettings, rules: dict[str, object]
) -> None:
    run(options, **rules)
    assert (options.artifact_dir / "manifest.json").exists()


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"allowed_uris": ("s3://models/",)}, "policy.allowedURIs: spec.model.uri is not under"),
        ({"requires_digest": True}, "policy.requireDigest: spec.model.digest must pin"),
        ({"requires_signature": True}, "policy.requireSignature: spec.model.signature must name"),
        ({"allowed_formats": ("onnx",)}, "policy.allowedFormats: the artifact is of the format sklearn"),
    ],
)
def test_what_they_forbid_is_not_there_for_serve(
    options: fetchsettings.FetchSettings, rules: dict[str, object], words: str
) -> None:
    with pytest.raises(errors.StartFailure) as refused:
        run(options, **rules)
    assert refused.value.reason is errors.Reason.POLICY_VIOLATION
    assert words in refused.value.message
    assert not (options.artifact_dir / "manifest.json").exists()


def test_a_key_that_is_not_listed_vouches_for_nothing(
    options: fetchsettings.FetchSettings, tmp_path: Path
) -> None:
    ours, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    model = options.mount_dir / "claim/models/iris/model.pkl"
    asked = dataclasses.replace(options, signature=fetchsettings.SignatureSettings(tmp_path))
    (listed, unlisted) = (hashlib.sha256(signing.pem(key)).hexdigest() for key in (ours, other))
    model.with_name("model.pkl.sig").write_bytes(signing.sign(model, other))
    (tmp_path / "key.pub").write_bytes(signing.pem(other))
    with pytest.raises(errors.StartFailure) as refused:
        run(asked, allowed_signature_keys=(listed,))
    assert refused.value.reason is errors.Reason.POLICY_VIOLATION
    assert refused.value.message.startswith(
        "policy.allowedSignatureKeys: spec.model.signature names the public key"
    )
    assert unlisted in refused.value.message
    assert f"may use: {listed}" in refused.value.message
    # Neither does it beside one that is listed.
    (tmp_path / "key.pub").write_bytes(signing.pem(ours) + signing.pem(other))
    with pytest.raises(errors.StartFailure, match="was signed with") as refused:
        run(asked, allowed_signature_keys=(listed,))
    assert refused.value.reason is errors.Reason.SIGNATURE_INVALID
    assert not (options.artifact_dir / "manifest.json").exists()
    model.with_name("model.pkl.sig").write_bytes(signing.sign(model, ours))
    run(asked, allowed_signature_keys=(listed,))
    assert (options.artifact_dir / "manifest.json").exists()


def test_nothing_is_opened_that_they_forbid(options: fetchsettings.FetchSettings) -> None:
    missing = dataclasses.replace(options, samples_uri="pvc://models/no/such/samples.json")
    with pytest.raises(errors.StartFailure, match=r"policy\.allowedURIs: spec\.validation\.samplesURI"):
        run(missing, allowed_uris=("pvc://models/iris/",))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, fetchsettings.Rules()),
        (
            {
                "MODELYARD_ALLOWED_URIS": "s3://models/ https://*.example.com/",
                "MODELYARD_ALLOWED_FORMATS": "onnx, skops",
                "MODELYARD_REQUIRE_DIGEST": "true",
                "MODELYARD_REQUIRE_SIGNATURE": "true",
                "MODELYARD_ALLOWED_SIGNATURE_KEYS": "0a,1b",
            },
            fetchsettings.Rules(
                ("s3://models/", "https://*.example.com/"), ("onnx", "skops"), True, True, ("0a", "1b")
            ),
        ),
    ],
)
def test_rules_are_read_from_the_environment(
    environment: Mapping[str, str], expected: fetchsettings.Rules
) -> None:
    assert fetchsettings.read({**ENVIRONMENT, **environment}).rules == expected


def test_a_rule_that_is_neither_true_nor_false_is_told() -> None:
    with pytest.raises(errors.StartFailure, match="MODELYARD_REQUIRE_DIGEST"):
        fetchsettings.read({**ENVIRONMENT, "MODELYARD_REQUIRE_DIGEST": "yes"})
