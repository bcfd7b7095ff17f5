"""Starts servers, makes each prove that it predicts as scikit-learn does, and drives one at a time.

Called by `runtime`. Starts and memory are measured with nothing else running; under load the other servers of a case
wait, idle, on the same core. Whatever ends a block, its servers are gone with it.
"""

import asyncio
import contextlib
import dataclasses
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from bench import (
    environments,
    process_tree,
    processes,
    runtime_cases,
    runtime_figures,
    runtime_servers,
    runtime_wording,
    wrk,
)
from devcluster import progress

_START_SECONDS = 120
_ANSWER_SECONDS = 30
_LOOK_SECONDS = 0.01
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


class Running:
    """A server that has proven itself."""

    def __init__(
        self, server: runtime_servers.Server, prepared: runtime_cases.Prepared, place: runtime_servers.Place
    ) -> None:
        self.server = server
        self.place = place
        self._wording = server.wordings[prepared.case.form]
        self._prepared = prepared
        self.question = self._wording.ask(prepared.asked[0])

    async def first_answer(self, process: processes.Process) -> None:
        """Ask until there is an answer, and see that it is right.

        Raises:
            RuntimeError: the server ended, was silent for too long, or is wrong.
        """
        deadline = time.monotonic() + _START_SECONDS
        async with _session() as session:
            while time.monotonic() < deadline:
                if process.has_ended:
                    raise RuntimeError(f"{self.server.name} ended by itself:\n{process.last_lines()}")
                with contextlib.suppress(aiohttp.ClientError):
                    status, body, headers = await self._ask(session, self.question)
                    if status == 200:
                        self._check(body, headers, self._prepared.asked[1])
                        return
                await asyncio.sleep(_LOOK_SECONDS)
        raise RuntimeError(
            f"{self.server.name} gave no answer in {_START_SECONDS} s:\n{process.last_lines()}"
        )

    async def prove(self) -> None:
        """Ask both questions and compare the answers with scikit-learn's.

        Raises:
            RuntimeError: an answer is an error, or wrong.
        """
        # The limit answers one thing only, and that is its point.
        both = (self._prepared.asked, self._prepared.other)
        questions = both[:1] if self.server.name == runtime_servers.LIMIT else both
        async with _session() as session:
            for rows, truth in questions:
                status, body, headers = await self._ask(session, self._wording.ask(rows))
                if status != 200:
                    raise RuntimeError(f"{self.server.name} answers {status}: {body[:300]!r}")
                self._check(body, headers, truth)

    def _check(self, body: bytes, headers: dict[str, str], truth: list[object]) -> None:
        problem = runtime_wording.differs(self._wording.read(body, headers), truth)
        if problem is not None:
            raise RuntimeError(f"{self.server.name} predicts wrongly: {problem}")

    async def _ask(
        self, session: aiohttp.ClientSession, question: runtime_wording.Question
    ) -> tuple[int, bytes, dict[str, str]]:
        url = f"http://127.0.0.1:{self.place.ports[0]}{question.path}"
        async with session.post(url, data=question.body, headers=question.headers) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, await answer.read(), headers


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
                async with _started(order, server, prepared, core) as (process, start, _running):
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
        running: list[tuple[processes.Process, Running]] = []
        for server in servers:
            with _noting(absent, f"{server.name} in {case.name}"):
                started = _started(order, server, prepared, core)
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
    process: processes.Process, proven: Running, case: str, connections: int, seconds: int
) -> runtime_figures.Drive:
    before = process_tree.cpu_seconds(process.pid)
    try:
        report = await wrk.drive(
            proven.place.ports[0], proven.question, connections, seconds, proven.place.folder
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


@asynccontextmanager
async def _started(
    order: Order, server: runtime_servers.Server, prepared: runtime_cases.Prepared, core: int
) -> AsyncIterator[tuple[processes.Process, runtime_figures.Start, Running]]:
    """Run a server for as long as the block lasts, which begins when it has proven itself."""
    with tempfile.TemporaryDirectory(prefix=f"{server.name}-", dir=prepared.joblib_file.parent) as temporary:
        place = runtime_servers.Place(python_of(server), _free_ports(), Path(temporary), order.environ)
        launch = await asyncio.to_thread(server.launch, prepared, place)
        running = Running(server, prepared, place)
        begun = time.monotonic()
        command = runtime_servers.pinned(launch, core)
        process = await processes.start(server.name, command, place.folder, launch.environ)
        try:
            await running.first_answer(process)
            seconds, cpu = time.monotonic() - begun, process_tree.cpu_seconds(process.pid)
            await running.prove()
            yield process, runtime_figures.Start(server.name, seconds, cpu, 0.0), running
        finally:
            tree = process_tree.members(process.pid)
            await process.stop()
            process_tree.kill(tree)


def python_of(server: runtime_servers.Server) -> Path:
    """Give the Python of a server's environment, made first when there is none."""
    if server.lock is None:
        return runtime_servers.own_python()
    return environments.ensure(runtime_servers.PEERS / f"{server.lock}.txt")


@contextlib.contextmanager
def _noting(absent: dict[str, str], what: str) -> Iterator[None]:
    """Let one server that can't be measured not end the whole run."""
    try:
        yield
    except (runtime_servers.NotThereError, RuntimeError) as error:
        absent[what] = str(error)
        progress.line("failed", f"{what}: {error}")


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS))


def _free_ports() -> tuple[int, int, int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(3)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        first, second, third = (probe.getsockname()[1] for probe in probes)
    return first, second, third
