"""`file:` names what lies below the administrator's roots, whatever links lead there, and nothing else."""

from pathlib import Path

import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import opening

# Path below the test's folder, or an absolute one → whether it can be named with the roots `models` and `more/deep`.
PATHS = {
    "models/m.pkl": True,
    "models/": True,
    "models/inner/link-inside": True,
    "more/deep/m.pkl": True,
    "more/m.pkl": False,
    "models-too/m.pkl": False,
    "models/link-out": False,
    "models/linked-folder/m.pkl": False,
    "models/../secret": False,
    "models/inner/../../secret": False,
    "models/%2e%2e/secret": False,
    "/etc/passwd": False,
    "/proc/self/environ": False,
    "/proc/1/root/etc/passwd": False,
    "/mnt/credentials/HTTP_PASSWORD": False,
    "/var/run/secrets/kubernetes.io/serviceaccount/token": False,
    "/dev/zero": False,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("models/inner", "more/deep", "models-too"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("models/m.pkl", "more/deep/m.pkl", "more/m.pkl", "models-too/m.pkl", "secret"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "models/inner/link-inside").symlink_to(tmp_path / "models/m.pkl")
    (tmp_path / "models/link-out").symlink_to(tmp_path / "secret")
    (tmp_path / "models/linked-folder").symlink_to(tmp_path / "more")
    return tmp_path


def _open(path: Path | str, *roots: Path, **ambient: str) -> source.Source:
    return opening.open_source(
        uris.parse(f"file://{path}"), source.Surroundings(ambient=ambient, file_roots=roots)
    )


@pytest.mark.parametrize("path", PATHS)
def test_what_lies_below_a_root_can_be_named(folder: Path, path: str) -> None:
    uri = path if path.startswith("/") else f"{folder}/{path}"
    roots = folder / "models", folder / "more/deep"
    if PATHS[path]:
        _open(uri, *roots)
        return
    with pytest.raises(errors.StartFailure) as caught:
        _open(uri, *roots)
    assert caught.value.reason is errors.Reason.ACCESS_DENIED
    assert "MODELYARD_FILE_ROOTS" in caught.value.message


@pytest.mark.parametrize("path", [path for path in PATHS if path.startswith("/")])
def test_a_root_that_covers_the_system_does_not_open_it(path: str) -> None:
    with pytest.raises(errors.StartFailure, match="lies outside"):
        _open(path, Path("/"))


def test_a_root_does_not_open_the_folders_of_fetch_itself(folder: Path) -> None:
    with pytest.raises(errors.StartFailure, match="lies outside"):
        _open(folder / "models/m.pkl", folder, MODELYARD_CREDENTIALS_DIR=str(folder / "models"))
    with pytest.raises(errors.StartFailure, match="lies outside"):
        _open(folder / "models/m.pkl", folder, MODELYARD_ARTIFACT_DIR=str(folder / "models"))


def test_a_root_within_the_system_is_one(folder: Path) -> None:
    with pytest.raises(errors.StartFailure, match="does not exist"):
        _open("/run/models/none.pkl", Path("/run/models")).list_files()


def test_without_roots_nothing_can_be_named(folder: Path) -> None:
    with pytest.raises(errors.StartFailure, match=r"\(none\)"):
        _open(folder / "models/m.pkl")
