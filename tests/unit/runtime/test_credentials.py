"""The credentials Secret, as the files that the kubelet makes of it."""

from pathlib import Path

import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials


def _folder(folder: Path, **files: str) -> Path:
    for key, text in files.items():
        (folder / key).write_text(text)
    return folder


def test_a_key_that_counts_arrives_without_its_line_end(tmp_path: Path) -> None:
    read = credentials.read(_folder(tmp_path, HTTP_BEARER_TOKEN="token\n"))
    assert read.get("HTTP_BEARER_TOKEN") == "token"
    assert read.get("HTTP_USERNAME") is None


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    assert credentials.read(_folder(tmp_path, LD_PRELOAD="evil.so")) == credentials.NONE


def test_nothing_is_asked_for_without_a_secret() -> None:
    assert credentials.read(None) == credentials.NONE


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_secret_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.StartFailure, match="the Secret 'models' does not exist") as caught:
        credentials.read(tmp_path / name, "models")
    assert caught.value.reason is errors.Reason.SECRET_MISSING


def test_a_value_that_is_no_text_is_named_by_its_key(tmp_path: Path) -> None:
    (tmp_path / "AWS_REGION").write_bytes(b"\xff")
    with pytest.raises(errors.StartFailure, match="AWS_REGION") as caught:
        credentials.read(tmp_path)
    assert caught.value.reason is errors.Reason.SETTINGS_INVALID


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    shown = repr(credentials.read(_folder(tmp_path, HTTP_PASSWORD="canary", AWS_ACCESS_KEY_ID="canary")))
    assert shown == "Credentials(AWS_ACCESS_KEY_ID, HTTP_PASSWORD)"
