"""The image flavours' environments, and servers in them, without an image: the same locks, the same code."""

import contextlib
import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from bench import environments
from tests.integration.runtime import processes

ROOT = Path(__file__).parents[3]
_PACKAGE = "tests.integration.flavours"
# The flavours whose script has MLflow write folders, too.
WRITTEN_BY_MLFLOW = ("catboost", "keras")


def python(flavour: str) -> Path:
    """The Python of a flavour; made on a fresh machine, which takes a minute for PyTorch (5.7 GB on disk)."""
    return environments.ensure(ROOT / "requirements" / f"runtime-{flavour}.txt")


def claims(flavour: str, folder: Path) -> dict[str, bool | str]:
    """Runs a flavour's script, which leaves artifacts in `folder` and prints what it found."""
    environment = _environment(folder)
    if flavour in WRITTEN_BY_MLFLOW:
        (packages,) = (python("mlflow").parents[1] / "lib").glob("python3*/site-packages")
        environment["MLFLOW_PACKAGES"] = str(packages)
    finished = subprocess.run(
        [python(flavour), "-m", f"{_PACKAGE}.{flavour}_models", folder],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    found: dict[str, bool | str] = json.loads(finished.stdout.splitlines()[-1])
    return found


@contextlib.contextmanager
def serving(flavour: str, folder: Path, artifact: Path) -> Iterator[processes.Serving]:
    """A ready server of a flavour for an artifact that went through `fetch`."""
    folder.mkdir()
    python_path = _environment(folder)["PYTHONPATH"]
    program = processes.Program((python(flavour), "-m", "modelyard_runtime"), python_path)
    fetched = processes.fetch(folder, f"file://{artifact}", program)
    assert fetched.exit_code == 0, fetched.log
    server = processes.Serving(folder, "m", program)
    try:
        # PyTorch and Keras take five seconds of a processor to import, and a CI's may be shared.
        server.wait_until("/readyz", seconds=300)
        yield server
    finally:
        server.close()


def _environment(folder: Path) -> dict[str, str]:
    """What a pod's container has; the code comes from this checkout, and the distribution's name with it."""
    installed = folder / "installed"
    if not installed.exists():
        installed.mkdir()
        (metadata,) = Path(sysconfig.get_path("purelib")).glob("modelyard-*.dist-info")
        shutil.copytree(metadata, installed / metadata.name)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": f"{ROOT / 'runtime'}:{ROOT}:{installed}",
        "OMP_NUM_THREADS": "1",
        "NPROC": "1",
    }
