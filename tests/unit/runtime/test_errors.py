"""Reasons and the termination message keep to the wire."""

import json

import hypothesis
import hypothesis.strategies as st
import pytest

from modelyard_runtime import errors, lifecycle

# The wire between runtime and operator, as both sides have agreed on it.
AGREED = {
    "SettingsInvalid": 78,
    "UriUnsupported": 64,
    "ArtifactNotFound": 66,
    "AccessDenied": 77,
    "FetchFailed": 69,
    "ArtifactTooLarge": 73,
    "DigestMismatch": 65,
    "FormatUnknown": 76,
    "LoadFailed": 70,
    "VersionMismatch": 79,
    "SampleMismatch": 80,
    "AddressRefused": 81,
    "ArchiveRefused": 82,
    "DigestChanged": 83,
    "LimitExceeded": 84,
    "PickleRefused": 85,
    "PolicyViolation": 86,
    "SignatureInvalid": 87,
    "SecretMissing": 88,
    "WarmupFailed": 71,
    "InternalError": 1,
}


def test_reasons_and_exit_codes_are_the_agreed_ones() -> None:
    assert {reason.value: reason.exit_code for reason in errors.Reason} == AGREED
    assert len(set(AGREED.values())) == len(AGREED)


def test_only_a_failed_fetch_is_worth_a_retry() -> None:
    assert [reason.value for reason in errors.Reason if reason.is_retryable] == ["FetchFailed"]


@pytest.mark.parametrize("stage", list(lifecycle.Stage))
def test_the_termination_message_is_one_json_object(stage: lifecycle.Stage) -> None:
    failure = errors.StartFailure(errors.Reason.LOAD_FAILED, "it is empty")
    assert json.loads(errors.termination_message(failure, stage)) == {
        "reason": "LoadFailed",
        "message": "it is empty",
        "stage": stage.value,
    }


@hypothesis.given(st.text(max_size=20_000))
@hypothesis.example('"' * 10_000)
@hypothesis.example("\x00" * 10_000)
@hypothesis.example("ü" * 10_000)
@hypothesis.example("\ud800" * 10_000)
def test_the_termination_message_never_exceeds_what_the_kubelet_keeps(message: str) -> None:
    encoded = errors.termination_message(
        errors.StartFailure(errors.Reason.LOAD_FAILED, message), lifecycle.Stage.LOADING
    )
    assert len(encoded) <= 4096
    decoded = json.loads(encoded)
    assert decoded["reason"] == "LoadFailed"
    assert len(message) > 500 or len(decoded["message"]) == len(message)
