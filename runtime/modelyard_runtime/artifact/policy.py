"""The administrator's rules, asked again where the bytes are fetched.

The operator has asked them before it started the pod; this is for what it can't know, the format of the artifact, and
for a pod template that came by another way. Called by `artifact.fetch`: `check` before anything is opened,
`check_format` once the bytes are there and right; by `artifact.signature` for the keys. Pure.
"""

from collections.abc import Mapping
from typing import TypeVar

from modelyard_runtime import errors, fetchsettings
from modelyard_runtime.artifact import patterns

Key = TypeVar("Key")


def check(options: fetchsettings.FetchSettings) -> None:
    """Raises `StartFailure` (PolicyViolation) where the rules forbid to fetch what is asked for."""
    rules = options.rules
    if rules.requires_digest and options.digest is None:
        raise _violation(
            "requireDigest: spec.model.digest must pin the artifact. Write sha256: and the 64 hexadecimal digits of"
            " its digest."
        )
    if rules.requires_signature and options.signature is None:
        raise _violation(
            "requireSignature: spec.model.signature must name a public key. Write publicKey.secretName, the Secret"
            " with the key that the artifact is signed with."
        )
    named = {
        "spec.model.uri": options.uri,
        "spec.validation.samplesURI": options.samples_uri or "",
        "spec.model.signature.uri": (options.signature.uri if options.signature else None) or "",
    }
    for field, uri in named.items() if rules.allowed_uris else ():
        if uri and patterns.is_ambiguous(uri):
            raise _violation(
                f"allowedURIs: {field} may lead elsewhere than it reads. Write it without '.' and '..' as parts (also"
                " encoded), backslashes and a user."
            )
        if uri and not any(patterns.allows(pattern, uri) for pattern in rules.allowed_uris):
            raise _violation(
                f"allowedURIs: {field} is not under what this namespace may use: {', '.join(rules.allowed_uris)}."
                " Keep the artifact there, or ask the administrator."
            )


def check_format(rules: fetchsettings.Rules, model_format: str) -> None:
    """Raises `StartFailure` (PolicyViolation) where the rules forbid the artifact's format."""
    if rules.allowed_formats and model_format not in rules.allowed_formats:
        raise _violation(
            f"allowedFormats: the artifact is of the format {model_format}, and this namespace may use:"
            f" {', '.join(rules.allowed_formats)}. Save the model in another format, or ask the administrator."
        )


def trusted_keys(rules: fetchsettings.Rules, keys: Mapping[str, Key]) -> tuple[Key, ...]:
    """Gives the keys, by their fingerprints, that the rules allow; raises `StartFailure` (PolicyViolation) for none."""
    if not rules.allowed_signature_keys:
        return tuple(keys.values())
    trusted = tuple(key for fingerprint, key in keys.items() if fingerprint in rules.allowed_signature_keys)
    if not trusted:
        raise _violation(
            f"allowedSignatureKeys: spec.model.signature names the public key {', '.join(keys)}, and this namespace may"
            f" use: {', '.join(rules.allowed_signature_keys)} (sha256 of the PEM). Name one of these keys, or ask the"
            " administrator to list yours."
        )
    return trusted


def _violation(words: str) -> errors.StartFailure:
    return errors.StartFailure(errors.Reason.POLICY_VIOLATION, f"policy.{words}")
