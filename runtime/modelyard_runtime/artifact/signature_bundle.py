"""An OpenSSF model signature, as `model_signing sign key` writes it: which files with which bytes it vouches for.

Called by `artifact.signature`, which compares them with what was fetched. The form is a Sigstore bundle with a DSSE
envelope around an in-toto statement. Nothing of the statement is read before the envelope's signature is right, and
no network is asked. Pure: bytes go in, a value or a `StartFailure` (SignatureInvalid) comes out.
"""

import base64
import binascii
import dataclasses
import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec
from cryptography import exceptions
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modelyard_runtime import errors

_Decoded = TypeVar("_Decoded")
_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"
# Curve → what its signatures hash with; the form allows no other keys.
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_KEY = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
ALGORITHMS = ("sha256", "blake2b")
_SIGN_AGAIN = "sign it again with `model_signing sign key`"


class _KeyHint(msgspec.Struct):
    hint: str = ""


class _Material(msgspec.Struct, rename="camel"):
    public_key: _KeyHint | None = None


class _Signature(msgspec.Struct):
    sig: str


class _Envelope(msgspec.Struct, rename="camel"):
    payload: str
    payload_type: str
    signatures: Annotated[list[_Signature], msgspec.Meta(min_length=1, max_length=1)]


class _Bundle(msgspec.Struct, rename="camel"):
    media_type: str
    verification_material: _Material
    dsse_envelope: _Envelope


class _Subject(msgspec.Struct):
    digest: dict[str, str]


class _Serialization(msgspec.Struct):
    method: str
    hash_type: str
    ignore_paths: list[str] = []


class _Resource(msgspec.Struct):
    name: str
    algorithm: str
    digest: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2})+$")]


class _Predicate(msgspec.Struct):
    serialization: _Serialization
    resources: list[_Resource]


class _Statement(msgspec.Struct, rename={"type": "_type", "predicate_type": "predicateType"}):
    type: str
    subject: Annotated[list[_Subject], msgspec.Meta(min_length=1, max_length=1)]
    predicate_type: str
    predicate: _Predicate


@dataclasses.dataclass(frozen=True, slots=True)
class Signed:
    """What was signed: path → hexadecimal digest, "." alone for a single file, and what was left out on purpose."""

    algorithm: str
    files: Mapping[str, str]
    left_out: tuple[str, ...]


def read_keys(content: bytes) -> tuple[ec.EllipticCurvePublicKey, ...]:
    """Gives the public keys in a PEM file, one or several; raises `StartFailure` (SignatureInvalid) for any other."""
    keys = []
    for text in _KEY.findall(content):
        try:
            key = serialization.load_pem_public_key(text)
        except (ValueError, exceptions.UnsupportedAlgorithm):
            raise failure("the public key is damaged; put it into the Secret again, as PEM") from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
            raise failure(
                "the public key is of another kind; model signing uses the curves P-256, P-384 and P-521"
            )
        keys.append(key)
    if not keys:
        raise failure("the Secret's key holds no public key in PEM (-----BEGIN PUBLIC KEY-----)")
    return tuple(keys)


def verify(content: bytes, keys: tuple[ec.EllipticCurvePublicKey, ...]) -> Signed:
    """Gives what a signature vouches for; raises `StartFailure` when it is none, or none of the keys made it."""
    bundle = _decode(content, _Bundle, "the signature is no bundle of model signing (JSON)")
    envelope = bundle.dsse_envelope
    if bundle.media_type != _BUNDLE_TYPE or envelope.payload_type != _PAYLOAD_TYPE:
        raise failure(f"the signature is a bundle of another kind; {_SIGN_AGAIN}")
    if bundle.verification_material.public_key is None:
        raise failure(
            f"the artifact was signed without a key (keyless, or with a certificate); {_SIGN_AGAIN}"
        )
    payload = _base64(envelope.payload)
    signed_bytes = b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)
    signature = _base64(envelope.signatures[0].sig)
    if not any(_is_by(key, signature, signed_bytes) for key in keys):
        raise _other_key(bundle.verification_material.public_key.hint, keys)
    return _read_statement(payload)


def _is_by(key: ec.EllipticCurvePublicKey, signature: bytes, signed_bytes: bytes) -> bool:
    try:
        key.verify(signature, signed_bytes, ec.ECDSA(_HASHES[key.curve.name]))
    except exceptions.InvalidSignature:
        return False
    return True


def _other_key(hint: str, keys: tuple[ec.EllipticCurvePublicKey, ...]) -> errors.StartFailure:
    """Gives the failure of a signature that none of the keys made; its own word for its key is only a hint."""
    given = [fingerprint(key) for key in keys]
    if hint in given:
        return failure("the signature was altered after it was made; publish it again")
    named = f"the key {hint[:12]}…" if re.fullmatch("[0-9a-f]{64}", hint) else "another key"
    known = ", ".join(f"{each[:12]}…" for each in given)
    return failure(
        f"the artifact was signed with {named}, and the key that is asked for is {known} (sha256 of the PEM)"
    )


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """Gives what names a key: the sha256 of its PEM, as a signature's own hint has it."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _read_statement(payload: bytes) -> Signed:
    statement = _decode(payload, _Statement, "the signed statement is none of model signing 1.0")
    if statement.type != _STATEMENT_TYPE or statement.predicate_type != _PREDICATE_TYPE:
        raise failure(f"the signed statement is none of model signing 1.0; {_SIGN_AGAIN}")
    how, resources = statement.predicate.serialization, statement.predicate.resources
    algorithms = {resource.algorithm for resource in resources}
    if how.method != "files" or len(algorithms) != 1 or not algorithms <= set(ALGORITHMS):
        used = f"method {how.method}, {how.hash_type}"
        raise failure(
            f"the artifact was signed with {used}, which is not supported; {_SIGN_AGAIN} and its defaults"
        )
    files = {resource.name: resource.digest for resource in resources}
    root = hashlib.sha256(b"".join(bytes.fromhex(resource.digest) for resource in resources)).hexdigest()
    if len(files) != len(resources) or statement.subject[0].digest.get("sha256") != root:
        raise failure(f"the signed statement contradicts itself; {_SIGN_AGAIN}")
    return Signed(algorithms.pop(), files, tuple(how.ignore_paths))


def _decode(content: bytes, form: type[_Decoded], problem: str) -> _Decoded:
    try:
        return msgspec.json.decode(content, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise failure(problem) from None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise failure("the signature is damaged (not base64)") from None


def failure(problem: str) -> errors.StartFailure:
    """Gives the failure of a signature."""
    return errors.StartFailure(errors.Reason.SIGNATURE_INVALID, problem)
