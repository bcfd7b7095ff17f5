"""Signatures as `model_signing sign key` makes them, without the package; test_signatures.py of the integration tests
compares them with the real ones.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PAYLOAD_TYPE = "application/vnd.in-toto+json"
HASHES = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give the public key of a key pair."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def statement(artifact: Path, left_out: Iterable[str] = (), algorithm: str = "sha256") -> dict[str, Any]:
    """Give what is signed of a file or folder."""
    ignored = set(left_out)
    paths = (
        sorted(path for path in artifact.rglob("*") if path.is_file()) if artifact.is_dir() else [artifact]
    )
    names = {path.relative_to(artifact).as_posix(): path for path in paths}
    resources = [
        {
            "name": name,
            "algorithm": algorithm,
            "digest": hashlib.new(algorithm, path.read_bytes()).hexdigest(),
        }
        for name, path in names.items()
        if name not in ignored and not any(name.startswith(f"{each}/") for each in ignored)
    ]
    root = hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in resources)).hexdigest()
    how = {
        "method": "files",
        "hash_type": algorithm,
        "allow_symlinks": False,
        "ignore_paths": sorted(ignored),
    }
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": artifact.name, "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"serialization": how, "resources": resources},
    }


def bundle(signed: Any, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """Give the signature of a statement."""
    payload = json.dumps(signed).encode()
    message = b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)
    signature = key.sign(message, ec.ECDSA(HASHES[key.curve.key_size]))
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "publicKey": {"hint": hashlib.sha256(pem(key)).hexdigest()},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }


def sign(artifact: Path, key: ec.EllipticCurvePrivateKey, left_out: Iterable[str] = ()) -> bytes:
    """Give the signature of a file or folder."""
    return json.dumps(bundle(statement(artifact, left_out), key)).encode()
