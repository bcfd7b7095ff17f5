"""Runs other programs and says in one sentence what went wrong when they fail.

Called by every part of devcluster that talks to the machine. A program started here dies with us: killing a build or a
start leaves nothing computing on. It must never be used for the cluster's own components, which outlive us.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from devcluster import errors


def run(
    command: Sequence[str | Path],
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stdin: str | None = None,
    timeout_seconds: float = 600,
) -> str:
    """Run `command` and give what it printed on standard output.

    Args:
        command: program and arguments.
        environ: its whole environment; None for ours.
        folder: where it runs.
        stdin: what it reads.
        timeout_seconds: after which it is ended.

    Raises:
        DevclusterError: it is missing, failed or took too long; with its last words.
    """
    words = [str(word) for word in command]
    process = _start(words, environ, folder, stdin is not None)
    try:
        output, complaint = process.communicate(stdin, timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        raise errors.DevclusterError(
            f"`{_shown(words)}` did not finish within {timeout_seconds:.0f} s"
        ) from None
    except BaseException:
        _end(process)
        raise
    if process.returncode != 0:
        last = "\n".join(f"    {line}" for line in (complaint.strip() or output.strip()).splitlines()[-15:])
        raise errors.DevclusterError(f"`{_shown(words)}` failed with exit code {process.returncode}:\n{last}")
    return output


def succeeds(command: Sequence[str | Path], timeout_seconds: float = 20) -> bool:
    """Tell whether `command` exists and ends well within the time; what it says is dropped."""
    try:
        finished = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return finished.returncode == 0


def _start(
    words: list[str], environ: Mapping[str, str] | None, folder: Path | None, reads: bool
) -> subprocess.Popen[str]:
    # setpriv (util-linux) makes the kernel end the program when we are killed; without it the program merely goes on.
    setpriv = shutil.which("setpriv")
    guarded = [setpriv, "--pdeathsig", "KILL", *words] if setpriv else words
    if shutil.which(words[0]) is None:
        raise errors.DevclusterError(f"the program `{words[0]}` is not installed")
    return subprocess.Popen(
        guarded,
        stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        cwd=folder,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _end(process: subprocess.Popen[str]) -> None:
    """End a program and what it started: a compiler's own children would otherwise compute on."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _shown(words: list[str]) -> str:
    text = " ".join(words)
    return text if len(text) <= 160 else f"{text[:157]}..."
