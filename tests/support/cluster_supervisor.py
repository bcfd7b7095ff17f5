"""Keeps one operator process running as its pod would: whatever ends it, another one starts after a short while.

Used by the campaigns. The backoff is the kubelet's in shape, its end is near: what is
tested is that a start repairs, not how long a kubelet waits.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tests.support import cluster_process, faultproxy

_FIRST_BACKOFF_SECONDS = 0.2
_LAST_BACKOFF_SECONDS = 5.0
_GOOD_LIFE_SECONDS = 30.0  # an operator that lived this long starts the backoff anew


class Exit(msgspec.Struct, frozen=True):
    """One end of a process: its code, when, and whether the test had asked for it."""

    code: int
    seconds: float
    is_planned: bool


class Supervisor:
    """One operator and its restarts.

    Attributes:
        operator: the process that runs now, or ran last.
        exits: every end so far.
        starts: how often one was started.
    """

    def __init__(self, kubeconfig: Path, folder: Path, environment: dict[str, str]) -> None:
        self._kubeconfig = kubeconfig
        self._port = cluster_process.free_port()
        self._log = folder / f"operator-{self._port}.log"
        self._environment = environment
        self._may_start = asyncio.Event()
        self._may_start.set()
        self._is_planned = False
        self.operator: cluster_process.Operator
        self.exits: list[Exit] = []
        self.starts = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Supervisor"]:
        """Keep an operator running for as long as the block lasts."""
        await self._start()
        task = asyncio.create_task(self._supervise())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.operator.kill()

    async def kill(self) -> None:
        """End the operator at once; the next one starts at once too."""
        self._is_planned = True
        await self.operator.kill()

    def hold(self) -> None:
        """Start no other one until `release`."""
        self._may_start.clear()

    def release(self) -> None:
        """Let the next one start."""
        self._may_start.set()

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.operator.process.send_signal(number)

    @property
    def unplanned(self) -> list[int]:
        """The codes of the ends that nobody had asked for."""
        return [each.code for each in self.exits if not each.is_planned]

    @property
    def log(self) -> Path:
        """Where the process writes."""
        return self._log

    async def _start(self) -> None:
        self.starts += 1
        self.operator = await cluster_process.spawn(
            self._kubeconfig, self._log, self._port, self._environment
        )

    async def _supervise(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            began = faultproxy.FaultProxy.now()
            code = await self.operator.process.wait()
            ended = faultproxy.FaultProxy.now()
            self.exits.append(Exit(code, ended, self._is_planned))
            if self._is_planned or ended - began > _GOOD_LIFE_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            if not self._is_planned:
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _LAST_BACKOFF_SECONDS)
            self._is_planned = False
            await self._may_start.wait()
            await self._start()
