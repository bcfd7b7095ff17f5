"""Python environments beside the development one: for a framework too heavy for it, or a peer that conflicts with it.

Called by benchmarks and by the tests of the image flavours. An environment is made from a lock file with hashes, once,
below devcluster's cache, under a name that changes with the lock; packages are linked from uv's cache, so that two
environments share their disk space. It must never install into the environment it runs in.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from devcluster import commands, config, errors, locks, progress

_UV = Path(sys.executable).parent / "uv"
# The mark of an environment that is whole: written last.
_WHOLE = "modelyard-environment"
_TIMEOUT_SECONDS = 1800


def ensure(requirements: Path) -> Path:
    """Give the Python of an environment with exactly the packages of a lock file, made first when there is none.

    Raises:
        DevclusterError: the packages can't be installed; with uv's last words.
    """
    folder = config.cache_root(os.environ) / "environments"
    name = requirements.stem
    environment = folder / f"{name}-{key(requirements.read_bytes(), sys.version)}"
    python = environment / "bin" / "python"
    with locks.hold(folder / f"{name}.lock", f"makes the environment {name}", wait=True):
        if (environment / _WHOLE).exists():
            return python
        for old in folder.glob(f"{name}-*"):
            # Only this lock's own earlier environments: a hash follows the name, and nothing else.
            if old.name.removeprefix(f"{name}-").isalnum():
                shutil.rmtree(old)
        with progress.step(f"making the environment {name}", f"environment {name} made"):
            _make(environment, requirements)
    return python


def key(lock: bytes, python_version: str) -> str:
    """Give the short hash that an environment's name ends with."""
    return hashlib.sha256(lock + python_version.encode()).hexdigest()[:12]


def _make(environment: Path, requirements: Path) -> None:
    if not _UV.exists():
        raise errors.DevclusterError(
            f"{_UV} is missing; it comes with the development environment: run `make venv`"
        )
    commands.run([_UV, "venv", "--quiet", "--python", sys.executable, environment], timeout_seconds=60)
    commands.run(
        [
            _UV,
            "pip",
            "install",
            "--quiet",
            # Now, so that the first program that imports them is not the one that waits for it.
            "--compile-bytecode",
            "--require-hashes",
            "--python",
            environment / "bin" / "python",
            "--requirement",
            requirements,
        ],
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    (environment / _WHOLE).touch()
