"""The image flavours' environments, without an image: the same locks, the same code."""

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from bench import environments

ROOT = Path(__file__).parents[3]
_PACKAGE = "tests.integration.flavours"


def python(flavour: str) -> Path:
    """The Python of a flavour; made on a fresh machine, which takes a minute for PyTorch (5.7 GB on disk)."""
    return environments.ensure(ROOT / "requirements" / f"runtime-{flavour}.txt")


def claims(flavour: str, folder: Path) -> dict[str, bool | str]:
    """Runs a flavour's script, which leaves artifacts in `folder` and prints what it found."""
    finished = subprocess.run(
        [python(flavour), "-m", f"{_PACKAGE}.{flavour}_models", folder],
        env=_environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    found: dict[str, bool | str] = json.loads(finished.stdout.splitlines()[-1])
    return found


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
