"""Measures how servers start and what memory they take, and drives one at a time.

Called by `runtime`. Starts and memory are measured with nothing else running; under load the other servers of a case
wait, idle, on the same core.
"""

import asyncio
import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from bench import (
    process_tree,
    processes,
    runtime_cases,
    runtime_figures,
    runtime_running,
    runtime_servers,
    wrk,
)
from devcluster import progress

_WARM_SECONDS = 1
_SETTLE_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Order:
    """What to measure.

    Attributes:
        connections: measure with these only; None for each case's own.
        environ: what the servers inherit.
        starts: measure starts and memory too, with the first case.
    """

    cases: tuple[runtime_cases.Case, ...]
    servers: tuple[runtime_servers.Server, ...]
    rounds: int
    seconds: int
    connections: tuple[int, ...] | None
    starts: bool
    environ: dict[str, str]

    def connections_of(self, case: runtime_cases.Case) -> tuple[int, ...]:
        """Give the numbers of connections to measure a case with."""
        return tuple(
            each for each in case.connections if self.connections is None or each in self.connections
        )


async def run(
    order: Order, absent: dict[str, str]
) -> tuple[list[runtime_figures.Start], list[runtime_figures.Drive]]:
    """Measure all rounds; what can't be measured goes into `absent`, with the reason."""
    server_core, own_core = runtime_servers.cores()
    # Ours and, by inheritance, wrk's; servers are pinned to the other.
    os.sched_setaffinity(0, {own_core})
    starts: list[runtime_figures.Start] = []
    drives: list[runtime_figures.Drive] = []
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as temporary:
        for number, case in enumerate(order.cases):
            folder = Path(temporary) / case.name
            folder.mkdir()
            prepared = await asyncio.to_thread(runtime_cases.prepare, case, folder)
            servers = [
                each for each in order.servers if case.form in each.wordings and each.name not in absent
            ]
            if order.starts and number == 0:
                starts += await _starts(order, prepared, servers, server_core, absent)
                servers = [each for each in servers if each.name not in absent]
            drives += await _case(order, prepared, servers, server_core, absent)
    return starts, drives


async def _starts(
    order: Order,
    prepared: runtime_cases.Prepared,
    servers: list[runtime_servers.Server],
    core: int,
    absent: dict[str, str],
) -> list[runtime_figures.Start]:
    found: list[runtime_figures.Start] = []
    for number in range(order.rounds):
        for server in servers:
            if server.name in absent:
                continue
            with _noting(absent, server.name):
                async with runtime_running.started(server, prepared, core, order.environ) as (
                    process,
                    start,
                    _running,
                ):
                    # What a server does after its first answer, such as a second worker, belongs to its memory.
                    await asyncio.sleep(_SETTLE_SECONDS)
                    memory = process_tree.memory_mebibytes(process.pid)
                    found.append(dataclasses.replace(start, memory_mib=memory))
                    progress.line(
                        "done", f"start {number + 1}: {server.name} {start.seconds:.2f} s, {memory:.0f} MiB"
                    )
    return found


async def _case(
    order: Order,
    prepared: runtime_cases.Prepared,
    servers: list[runtime_servers.Server],
    core: int,
    absent: dict[str, str],
) -> list[runtime_figures.Drive]:
    case = prepared.case
    found: list[runtime_figures.Drive] = []
    async with AsyncExitStack() as stack:
        running: list[tuple[processes.Process, runtime_running.Running]] = []
        for server in servers:
            with _noting(absent, f"{server.name} in {case.name}"):
                started = runtime_running.started(server, prepared, core, order.environ)
                process, _start, proven = await stack.enter_async_context(started)
                await wrk.drive(
                    proven.place.ports[0], proven.question, 16, _WARM_SECONDS, proven.place.folder
                )
                progress.line("done", f"{case.name}: {server.name} answers as scikit-learn does")
                running.append((process, proven))
        for number in range(order.rounds):
            for connections in order.connections_of(case):
                for process, proven in running:
                    what = f"{proven.server.name} in {case.name}"
                    if what in absent:
                        continue
                    with _noting(absent, what):
                        drive = await _drive(process, proven, case.name, connections, order.seconds)
                    if what in absent:
                        continue
                    found.append(drive)
                    progress.line(
                        "done",
                        f"{case.name}, round {number + 1}, {connections} connections: {proven.server.name} "
                        f"{drive.rate:,.0f}/s, p99 {drive.p99_ms:.2f} ms, {drive.cpu_us:,.0f} µs CPU",
                    )
        for _process, proven in running:
            await proven.prove()
    return found


async def _drive(
    process: processes.Process, proven: runtime_running.Running, case: str, connections: int, seconds: int
) -> runtime_figures.Drive:
    before = process_tree.cpu_seconds(process.pid)
    try:
        report = wrk.checked(
            await wrk.drive(proven.place.ports[0], proven.question, connections, seconds, proven.place.folder)
        )
    except RuntimeError as error:
        raise RuntimeError(
            f"{proven.server.name}, {case}, {connections} connections: {error}\n{process.last_lines()}"
        ) from error
    used = process_tree.cpu_seconds(process.pid) - before
    return runtime_figures.Drive(
        case,
        proven.server.name,
        connections,
        rate=report.requests / report.microseconds * 1e6,
        p50_ms=report.p50 / 1000,
        p99_ms=report.p99 / 1000,
        cpu_us=used / report.requests * 1e6,
    )


@contextlib.contextmanager
def _noting(absent: dict[str, str], what: str) -> Iterator[None]:
    """Let one server that can't be measured not end the whole run."""
    try:
        yield
    except (runtime_servers.NotThereError, RuntimeError) as error:
        absent[what] = str(error)
        progress.line("failed", f"{what}: {error}")
