"""The real `model_signing`, and the key pairs that it signs with.

Used by the tests of signatures, in processes and on a cluster. It runs in an environment of its own.
"""

import subprocess
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench import environments
from tests.support import signing

_LOCK = Path(__file__).parent.parent / "integration" / "runtime" / "signing.txt"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """Run `model_signing WORDS`, whatever its end."""
    command = [str(word) for word in (environments.ensure(_LOCK), "-m", "model_signing", *words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def sign(artifact: Path, signature: Path, private_key: Path) -> None:
    """Sign a file or folder."""
    words = "--private_key", private_key, "--signature", signature, artifact
    signed = run("sign", "key", *words)
    assert signed.returncode == 0, signed.stderr


def write_key_pair(key: ec.EllipticCurvePrivateKey, private: Path, public: Path) -> None:
    """Write a key pair as `openssl ecparam` and `openssl ec -pubout` would."""
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(*form))
    public.write_bytes(signing.pem(key))
