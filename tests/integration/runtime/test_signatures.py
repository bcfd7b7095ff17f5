"""What the real `model_signing` signs is verified, what it refuses is refused; signatures made up are like its own."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import joblib
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from modelyard_runtime import errors, fetchsettings
from modelyard_runtime.artifact import fetch, manifest
from tests.support import signing, signing_tool


@pytest.fixture(params=[ec.SECP256R1(), ec.SECP384R1()], ids=lambda curve: curve.name)
def key(request: pytest.FixtureRequest, tmp_path: Path) -> ec.EllipticCurvePrivateKey:
    """A key pair: key.pem, and keys/key.pub as a Secret has it."""
    made = ec.generate_private_key(request.param)
    (tmp_path / "keys").mkdir()
    signing_tool.write_key_pair(made, tmp_path / "key.pem", tmp_path / "keys" / "key.pub")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "a model"
    (root / "deep").mkdir(parents=True)
    joblib.dump([1, 2, 3], root / "model.joblib")
    (root / "deep" / "ü.txt").write_text("hello")
    (root / ".gitattributes").write_text("* lfs")
    return root


def _fetch(artifact: Path, root: Path) -> manifest.Manifest:
    slash = "/" if artifact.is_dir() else ""
    environment = {
        "MODELYARD_MODEL_URI": f"{artifact.as_uri()}{slash}",
        "MODELYARD_ARTIFACT_DIR": str(root / "artifact"),
        "MODELYARD_FILE_ROOTS": str(root),
        "MODELYARD_SIGNATURE_KEY_DIR": str(root / "keys"),
    }
    return fetch.fetch(fetchsettings.read(environment), {}, lambda _: None)


def test_a_folder_that_was_really_signed_is_served_without_what_was_left_out(
    key: object, folder: Path, tmp_path: Path
) -> None:
    signing_tool.sign(folder, folder / "model.sig", tmp_path / "key.pem")
    found = _fetch(folder, tmp_path)
    content = tmp_path / "artifact" / found.path
    assert {path.name for path in content.rglob("*") if path.is_file()} == {"model.joblib", "ü.txt"}


@pytest.mark.parametrize("name", ["model.joblib", "model.tar.gz"])
def test_a_file_that_was_really_signed_is_served(
    name: str, key: object, folder: Path, tmp_path: Path
) -> None:
    artifact = folder / "model.joblib"
    if name != artifact.name:
        subprocess.run(["tar", "czf", tmp_path / name, "-C", folder, "."], check=True)
        artifact = tmp_path / name
    signing_tool.sign(artifact, artifact.with_name(f"{artifact.name}.sig"), tmp_path / "key.pem")
    assert _fetch(artifact, tmp_path).content_digest is None or name.endswith(".gz")


@pytest.mark.parametrize("spoil", ["changed", "extra", "missing", "other key"])
def test_what_the_real_one_refuses_is_refused(spoil: str, key: object, folder: Path, tmp_path: Path) -> None:
    signing_tool.sign(folder, folder / "model.sig", tmp_path / "key.pem")
    if spoil == "changed":
        (folder / "deep" / "ü.txt").write_text("hallo")
    elif spoil == "extra":
        (folder / "extra").write_text("")
    elif spoil == "missing":
        (folder / "deep" / "ü.txt").unlink()
    else:
        (tmp_path / "keys" / "key.pub").write_bytes(signing.pem(ec.generate_private_key(ec.SECP256R1())))
    public = tmp_path / "keys" / "key.pub"
    assert signing_tool.run(
        "verify", "key", "--public_key", public, "--signature", folder / "model.sig", folder
    ).returncode
    with pytest.raises(errors.StartFailure) as caught:
        _fetch(folder, tmp_path)
    assert caught.value.reason is errors.Reason.SIGNATURE_INVALID


def test_made_up_signatures_are_like_the_real_ones(
    key: ec.EllipticCurvePrivateKey, folder: Path, tmp_path: Path
) -> None:
    signing_tool.sign(folder, folder / "model.sig", tmp_path / "key.pem")
    real = json.loads((folder / "model.sig").read_bytes())
    left_out = ["model.sig", ".git", ".gitattributes", ".github", ".gitignore"]
    made = json.loads(signing.sign(folder, key, left_out))
    assert _comparable(made) == _comparable(real)
    (folder / "made.sig").write_bytes(signing.sign(folder, key, [*left_out, "made.sig"]))
    verified = signing_tool.run(
        "verify",
        "key",
        "--public_key",
        tmp_path / "keys" / "key.pub",
        "--signature",
        folder / "made.sig",
        folder,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def _comparable(bundle: dict[str, Any]) -> dict[str, Any]:
    """Give a bundle with its statement read, and without what differs each time."""
    envelope = bundle["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope.pop("payload")))
    statement["predicate"]["serialization"]["ignore_paths"].sort()
    envelope["signatures"][0] = sorted(envelope["signatures"][0])
    bundle["verificationMaterial"].pop("tlogEntries", None)
    return {**bundle, "statement": statement}
