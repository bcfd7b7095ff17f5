"""Each way to spoil a signature, what was signed, or a key is refused in words."""

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from modelyard_runtime import errors
from modelyard_runtime.artifact import signature_bundle
from tests.support import signing

KEY = ec.generate_private_key(ec.SECP256R1())
INVALID = errors.Reason.SIGNATURE_INVALID


@pytest.fixture
def model(tmp_path: Path) -> Path:
    joblib.dump([1, 2, 3], tmp_path / "m.joblib")
    return tmp_path / "m.joblib"


@pytest.mark.parametrize(
    "curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name
)
def test_each_curve_of_the_form_is_read(curve: ec.EllipticCurve, model: Path) -> None:
    key = ec.generate_private_key(curve)
    signed = signature_bundle.verify(signing.sign(model, key), signature_bundle.read_keys(signing.pem(key)))
    assert signed.files == {".": hashlib.sha256(model.read_bytes()).hexdigest()}


Spoil = Callable[[dict[str, Any]], object]
STATEMENTS: dict[str, tuple[Spoil, str]] = {
    "another type": (lambda one: one.update(_type="x"), "none of model signing"),
    "another predicate": (lambda one: one.update(predicateType="https://slsa.dev/provenance/v1"), "none of model"),
    "no subject": (lambda one: one.update(subject=[]), "none of model signing"),
    "two subjects": (lambda one: one["subject"].append(one["subject"][0]), "none of model signing"),
    "another root": (lambda one: one["subject"][0]["digest"].update(sha256="0" * 64), "contradicts itself"),
    "the same name twice": (lambda one: one["predicate"]["resources"].append(one["predicate"]["resources"][0]),
                            "contradicts itself"),
    "shards": (lambda one: one["predicate"]["serialization"].update(method="shards"), "method shards"),
    "blake3": (lambda one: one["predicate"]["resources"][0].update(algorithm="blake3"), "not supported"),
    "md5": (lambda one: one["predicate"]["resources"][0].update(algorithm="md5"), "not supported"),
    "no resource": (lambda one: one["predicate"].update(resources=[]), "not supported"),
    "a digest that is none": (lambda one: one["predicate"]["resources"][0].update(digest="xyz"), "none of model"),
}  # fmt: skip
BUNDLES: dict[str, tuple[Spoil, str]] = {
    "another form": (lambda one: one.update(mediaType="x"), "of another kind"),
    "another payload": (lambda one: one["dsseEnvelope"].update(payloadType="x"), "of another kind"),
    "without a key": (lambda one: one.update(verificationMaterial={"certificate": {"rawBytes": "AA=="}}), "without a"),
    "no signature": (lambda one: one["dsseEnvelope"].update(signatures=[]), "no bundle"),
    "signature that is no base64": (lambda one: one["dsseEnvelope"]["signatures"][0].update(sig="%"), "not base64"),
    "empty signature": (lambda one: one["dsseEnvelope"]["signatures"][0].update(sig=""), "altered"),
    "signature of nothing": (lambda one: one["dsseEnvelope"]["signatures"][0].update(sig="MAYCAQACAQA="), "altered"),
    "payload changed": (lambda one: one["dsseEnvelope"].update(payload="e30="), "altered"),
    "hint of another key": (lambda one: one["verificationMaterial"]["publicKey"].update(hint="0" * 64)
                            or one["dsseEnvelope"].update(payload="e30="), "with the key 000000000000…"),
    "hint that is none": (lambda one: one["verificationMaterial"]["publicKey"].update(hint="\x1b[31m")
                          or one["dsseEnvelope"].update(payload="e30="), "with another key,"),
}  # fmt: skip


def _verify(content: bytes) -> str:
    with pytest.raises(errors.StartFailure) as caught:
        signature_bundle.verify(content, signature_bundle.read_keys(signing.pem(KEY)))
    assert caught.value.reason is INVALID
    assert caught.value.message.isprintable()
    return caught.value.message


@pytest.mark.parametrize("what", STATEMENTS)
def test_a_signed_statement_of_another_kind_is_refused(what: str, model: Path) -> None:
    spoil, says = STATEMENTS[what]
    statement = signing.statement(model)
    spoil(statement)
    assert says in _verify(json.dumps(signing.bundle(statement, KEY)).encode())


@pytest.mark.parametrize("what", BUNDLES)
def test_a_damaged_bundle_is_refused(what: str, model: Path) -> None:
    spoil, says = BUNDLES[what]
    bundle = copy.deepcopy(signing.bundle(signing.statement(model), KEY))
    spoil(bundle)
    assert says in _verify(json.dumps(bundle).encode())


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b"null", b'{"mediaType": 1}'])
def test_what_is_no_bundle_is_refused(content: bytes) -> None:
    assert "no bundle of model signing" in _verify(content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"ssh-rsa AAAA", "no public key in PEM"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "damaged"),
        (
            ed25519.Ed25519PrivateKey.generate()
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "of another kind",
        ),
        (signing.pem(ec.generate_private_key(ec.SECP256K1())), "of another kind"),
    ],
)
def test_a_key_that_is_none_is_told(content: bytes, says: str) -> None:
    with pytest.raises(errors.StartFailure, match=says) as caught:
        signature_bundle.read_keys(content)
    assert caught.value.reason is INVALID
