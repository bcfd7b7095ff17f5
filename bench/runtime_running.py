"""A server of the runtime's benchmark, up for as long as a block lasts, and proven to predict as scikit-learn does.

Used by `runtime_measures`. Whatever ends the block, the server and everything it has started is gone with it.
"""

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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
)

_START_SECONDS = 120
_ANSWER_SECONDS = 30
# A server may refuse what it can't answer yet; one that goes on refusing does not understand the question.
_REFUSAL_SECONDS = 60
_LOOK_SECONDS = 0.01


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
        refused_since: float | None = None
        async with _session() as session:
            while time.monotonic() < deadline:
                if process.has_ended:
                    raise RuntimeError(f"{self.server.name} ended by itself:\n{process.last_lines()}")
                with contextlib.suppress(aiohttp.ClientError):
                    status, body, headers = await self._ask(session, self.question)
                    if status == 200:
                        self._check(body, headers, self._prepared.asked[1])
                        return
                    if status in (400, 415, 422):
                        refused_since = refused_since or time.monotonic()
                        if time.monotonic() - refused_since > _REFUSAL_SECONDS:
                            raise RuntimeError(f"{self.server.name} answers {status}: {body[:300]!r}")
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


@asynccontextmanager
async def started(
    server: runtime_servers.Server, prepared: runtime_cases.Prepared, core: int, environ: Mapping[str, str]
) -> AsyncIterator[tuple[processes.Process, runtime_figures.Start, Running]]:
    """Run a server for as long as the block lasts, which begins when it has proven itself."""
    with tempfile.TemporaryDirectory(prefix=f"{server.name}-", dir=prepared.joblib_file.parent) as temporary:
        place = runtime_servers.Place(python_of(server), _free_ports(), Path(temporary), environ)
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


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS))


def _free_ports() -> tuple[int, int, int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(3)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        first, second, third = (probe.getsockname()[1] for probe in probes)
    return first, second, third
