"""`redaction`: what looks like a secret leaves in no text; what people are told stays as it is."""

import pytest
from hypothesis import given, strategies

from modelyard_operator import redaction

CANARY = "c4n4ry-s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"https://user:{CANARY}@models.example.com/iris.joblib",
        f"https://{CANARY}@models.example.com/iris.joblib: not found",
        f"s3://b/k?X-Amz-Date=1&X-Amz-Signature={CANARY}&y=1",
        f"https://h/x?x-amz-credential={CANARY}/20260201",
        f"https://h/x?sig={CANARY}",
        f"https://h/x?access_token={CANARY}#part",
        f"https://h/x?apikey={CANARY}",
        f"AWS_SECRET_ACCESS_KEY={CANARY}",
        f"AWSAccessKeyId={CANARY}",
        f"password={CANARY}, next",
        f"Authorization: Bearer {CANARY}",
        f"Authorization: Basic {CANARY}",
    ],
)
def test_secrets_are_taken_out(text: str) -> None:
    redacted = redaction.redact(text)
    assert CANARY not in redacted
    assert redaction.REDACTED in redacted


@pytest.mark.parametrize(
    "text",
    [
        "3 of 3 pods ready.",
        "s3://models/iris/model.joblib?versionId=7",
        "Secret models-s3 lacks the key AWS_SECRET_ACCESS_KEY: add it.",
        "spec.model.credentials.secretName: must be a name.",
        "mail ops@example.com",
        "image modelyard/runtime@sha256:abc",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redaction.redact(text) == text


@given(strategies.text())
def test_any_text_can_be_redacted_and_redacting_twice_changes_nothing(text: str) -> None:
    once = redaction.redact(text)
    assert redaction.redact(once) == once
