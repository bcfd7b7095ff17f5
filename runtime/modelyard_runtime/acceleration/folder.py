"""The folder `prepared/` beside the artifact: written whole or not at all, ignored when it is about something else.

    <artifact dir>/prepared/description.json     what it is (`acceleration.description`)
    <artifact dir>/prepared/*                    the files the description names
    <artifact dir>/.preparing/                   one in the making; removed at the next start

`prepare` writes it, `loading` reads it. It must never be trusted beyond the artifact it lies beside: both
are written by init containers of the same pod.
"""

import importlib.metadata
import logging
import shutil
from pathlib import Path

from modelyard_runtime.acceleration import description as descriptions

_log = logging.getLogger(__name__)


class Folder:
    """The prepared folder of an artifact directory."""

    def __init__(self, artifact_dir: Path) -> None:
        self.path = artifact_dir / "prepared"
        self._staging = artifact_dir / ".preparing"

    def begin(self) -> Path:
        """Removes what is left from before and gives the empty folder to write engine files to; raises `OSError`."""
        for folder in (self._staging, self.path):
            if folder.exists():
                shutil.rmtree(folder)
        self._staging.mkdir(parents=True)
        return self._staging

    def clear(self) -> Path:
        """Empties the folder that `begin` gave."""
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True)
        return self._staging

    def discard(self) -> None:
        """Removes what was written since `begin`, as far as that is possible."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def commit(self, description: descriptions.Description) -> None:
        """Makes what was written the prepared folder; raises `OSError`."""
        (self._staging / descriptions.FILE_NAME).write_bytes(descriptions.encode(description))
        self._staging.rename(self.path)

    def read(self, digest: str, model_format: str) -> descriptions.Description | None:
        """Gives what was prepared for this artifact; None, and a log line, when there is something else."""
        try:
            content = (self.path / descriptions.FILE_NAME).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _ignore(f"it can't be read: {error.strerror}")
            return None
        description = descriptions.decode(content)
        if description is None:
            _ignore("its description is damaged")
            return None
        problem = descriptions.unfit(description, runtime_version(), digest, model_format)
        if problem is not None:
            _ignore(problem)
            return None
        return description


def runtime_version() -> str:
    """Gives the version of this distribution, which the files are for."""
    return importlib.metadata.version("modelyard")


def _ignore(problem: str) -> None:
    _log.warning("prepared folder ignored", extra={"fields": {"problem": problem}})
