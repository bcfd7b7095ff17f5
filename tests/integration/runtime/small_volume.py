"""A volume that is really full: a small file system in memory, in a mount namespace that ends with the test.

Used by test_full_volume.py. A process holds the namespace, and the runtime's processes join it one after the other, as
the starts of a pod's containers share its volume. The machine itself never sees the mount.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from devcluster import mounts
from tests.integration.runtime import processes
from tests.support import waiting

MIB = 1024**2
_FILLER = "filler"


class SmallVolume:
    """The volume, seen from outside.

    Attributes:
        program: the runtime, run where the volume is.
        inside: the volume's files.
    """

    def __init__(self, folder: Path, holder: int) -> None:
        self._folder = folder
        self._join = mounts.join_view(holder)
        self.program = processes.Program((*self._join, processes.COMMAND))
        self.inside = Path(f"/proc/{holder}/root") / folder.relative_to("/")

    def resize(self, options: str) -> None:
        """Gives the volume other limits, such as size=8m."""
        subprocess.run([*self._join, "mount", "-o", f"remount,{options}", self._folder], check=True)

    def fill(self) -> None:
        """Takes every byte that is left."""
        with contextlib.suppress(OSError), (self.inside / _FILLER).open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass

    def names(self) -> set[str]:
        """The names of what lies in it."""
        return {path.name for path in self.inside.iterdir()} - {_FILLER}


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[SmallVolume]:
    """Mounts a volume with these limits on a folder, for whoever joins it."""
    folder.mkdir(parents=True, exist_ok=True)
    script = 'mount -t tmpfs -o "$1" none "$0" && exec sleep infinity'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(folder), options]
    with subprocess.Popen(command) as holder:
        try:
            waiting.eventually(lambda: _has(holder, folder), "the volume is mounted", 30, 0.01)
            yield SmallVolume(folder, holder.pid)
        finally:
            holder.kill()


def _has(holder: "subprocess.Popen[bytes]", folder: Path) -> bool:
    assert holder.poll() is None
    return bool(mounts.below(Path(f"/proc/{holder.pid}/mountinfo").read_text(), folder))
