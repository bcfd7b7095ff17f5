"""Drives a server with wrk: closed loop, keep-alive, one thread on the core that the caller is pinned to.

Called by `runtime_measures`.
"""

import asyncio
from pathlib import Path

import msgspec

from bench import runtime_wording

_SCRIPT = Path(__file__).with_name("wrk.lua")
_ANSWER_SECONDS = 20


class Report(msgspec.Struct, frozen=True):
    """What wrk counted; p50 and p99 in microseconds."""

    requests: int
    microseconds: int
    p50: int
    p99: int
    refused: int
    broken: int


async def drive(
    port: int, question: runtime_wording.Question, connections: int, seconds: int, folder: Path
) -> Report:
    """Ask the same question over all connections for that long.

    Raises:
        RuntimeError: wrk failed.
    """
    body = folder / "body"
    body.write_bytes(question.body)
    headers = [word for header in question.headers.items() for word in header]
    command = [
        *("wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"),
        *("--timeout", f"{_ANSWER_SECONDS}s", "--script", str(_SCRIPT)),
        *(f"http://127.0.0.1:{port}{question.path}", "--", str(body), *headers),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(seconds + 2 * _ANSWER_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"wrk failed: {output.decode(errors='replace').strip()[-500:]}")
    return msgspec.json.decode(output.splitlines()[-1], type=Report)


def checked(report: Report) -> Report:
    """Give the report back: every answer had a status below 400, or there is no measurement.

    Raises:
        RuntimeError: requests failed, or none was answered.
    """
    if report.refused or report.broken or not report.requests:
        raise RuntimeError(
            f"of {report.requests} requests {report.refused} were answered with an error; "
            f"{report.broken} connections or answers failed"
        )
    return report
