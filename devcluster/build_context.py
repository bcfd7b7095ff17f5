"""What an image is built from: exactly the files its Dockerfile copies, and the key that changes when they do.

Called by `images`. The build sees a copy of these files and nothing else of the checkout, with the same modes whatever
the checkout's were, so that the same source gives the same image.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

DEFAULT_FLAVOUR = "default"
# The Dockerfile has one stage for each flavour of the runtime, called like this; a build argument chooses among them.
_FLAVOUR_STAGE = "flavour-"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")


def copied_sources(dockerfile: str, flavour: str = DEFAULT_FLAVOUR) -> list[str]:
    """List the files and folders that a Dockerfile copies from the checkout, not from another stage.

    What the stages of other flavours copy is left out: they are not built.
    """
    found = []
    is_built = True
    for line in dockerfile.splitlines():
        if opened := re.match(r"FROM\s+\S+\s+AS\s+(\S+)", line):
            is_built = not opened[1].startswith(_FLAVOUR_STAGE) or opened[1] == _FLAVOUR_STAGE + flavour
        if is_built and (copied := re.match(r"COPY\s+(?!.*--from=)(.+)", line)):
            *sources, _target = [word for word in copied[1].split() if not word.startswith("--")]
            found += sources
    return sorted({source.rstrip("/") for source in found})


def stage(checkout: Path, context: Path, flavour: str = DEFAULT_FLAVOUR) -> None:
    """Copy the Dockerfile and what it copies for a flavour into the folder `context`.

    Raises:
        FileNotFoundError: the Dockerfile names something that is not there.
    """
    dockerfile = (checkout / "Dockerfile").read_text()
    context.mkdir(parents=True)
    for name in ["Dockerfile", *copied_sources(dockerfile, flavour)]:
        source, target = checkout / name, context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=_LEFT_OUT)
        else:
            shutil.copyfile(source, target)
    for path in _everything(context):
        path.chmod(0o755 if path.is_dir() else 0o644)


def key(context: Path, *more: str) -> str:
    """Give a short hash of everything in `context`, and of `more`: base, target, name."""
    digest = hashlib.sha256("\0".join(more).encode())
    for path in _everything(context):
        if path.is_file():
            content = path.read_bytes()
            digest.update(f"\0{path.relative_to(context)}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:16]


def _everything(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(parent) / name for name in sorted([*folders, *files]))
