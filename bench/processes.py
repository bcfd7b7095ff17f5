"""Processes that a measurement starts, and what the kernel says about them.

Used by `rig` and `operator_process`. Figures come from /proc, so that whoever is measured does nothing for it.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_MEBIBYTE_IN_KIB = 1024
_STOP_SECONDS = 30.0


class Process:
    """One running program."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself."""
        return self._process.returncode is not None

    def cpu_seconds(self) -> float:
        """Give the processor time it has used so far, in user and kernel."""
        text = Path(f"/proc/{self._process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def memory_mebibytes(self) -> float:
        """Give its resident memory now."""
        return self._status("VmRSS:")

    def peak_mebibytes(self) -> float:
        """Give the most resident memory it ever had."""
        return self._status("VmHWM:")

    async def stop(self) -> None:
        """End it as Kubernetes does, with SIGTERM and then, when it does not go, SIGKILL."""
        if self.has_ended:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        if not self.has_ended:
            self._process.kill()

    def last_lines(self) -> str:
        """Give the end of its log, for an error."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def _status(self, key: str) -> float:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / _MEBIBYTE_IN_KIB


async def start(
    name: str, command: Sequence[str | Path], folder: Path, environ: Mapping[str, str] | None = None
) -> Process:
    """Start a program that writes to NAME.log in `folder`; away from our terminal, so that Ctrl-C is for us alone."""
    log = folder / f"{name}.log"
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=sink, stderr=sink, env=environ, start_new_session=True
        )
    return Process(name, process, log)


@asynccontextmanager
async def running(name: str, command: Sequence[str | Path], folder: Path) -> AsyncIterator[Process]:
    """Run a program for as long as the block lasts."""
    process = await start(name, command, folder)
    try:
        yield process
    finally:
        process.kill()
