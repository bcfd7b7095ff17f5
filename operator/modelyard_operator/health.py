"""The operator's own port: /livez, /readyz and /metrics.

Liveness is told from work that gets done, not from the fact that HTTP answers: it fails when the queue stands still or
a part has missed its time, and by itself when the event loop hangs. It does not fail because the API server is down,
when a restart would help nobody: calls that fail are work that gets done. A deaf watch isn't asked about here either:
`freshness` ends the process for that. Run by `__main__`.
"""

import asyncio
from collections.abc import Callable

import prometheus_client
from aiohttp import web

from modelyard_operator import metrics, pulse

STUCK_SECONDS = 300.0  # every API call has a timeout of 30 s; nothing honest takes this long
_LAG_PERIOD_SECONDS = 1.0


class Health:
    """Answers the probes."""

    def __init__(self, numbers: metrics.Metrics, life: pulse.Pulse) -> None:
        self._metrics = numbers
        self._pulse = life
        numbers.part_age_seconds.read = life.ages
        self._is_ready = False
        self._stuck_seconds: Callable[[], float] = float

    def watch_queue(self, stuck_seconds: Callable[[], float]) -> None:
        """Answer for the queue, too, from when it is worked on: a standby's grows and has to."""
        self._stuck_seconds = stuck_seconds

    def set_ready(self, ready: bool) -> None:
        """Say whether the watches run; /readyz repeats it."""
        self._is_ready = ready

    async def serve(self, port: int) -> web.AppRunner:
        """Start answering on all addresses; give what `cleanup()` ends it with."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._expose)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, None, port).start()
        return runner

    async def measure_lag(self) -> None:
        """Measure for ever how late the event loop is."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_LAG_PERIOD_SECONDS)
            self._metrics.loop_lag_seconds.set(max(0.0, loop.time() - before - _LAG_PERIOD_SECONDS))

    async def _livez(self, _request: web.Request) -> web.Response:
        faults = [f"{part}: no sign of life for {age:.0f} s" for part, age in self._pulse.stopped().items()]
        stuck_seconds = self._stuck_seconds()
        if stuck_seconds > STUCK_SECONDS:
            faults.append(f"queue: nothing gets done for {stuck_seconds:.0f} s")
        if faults:
            return web.Response(status=503, text="\n".join(faults) + "\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if not self._is_ready:
            return web.Response(status=503, text="not watching yet\n")
        return web.Response(text="ok\n")

    async def _expose(self, _request: web.Request) -> web.Response:
        body = prometheus_client.generate_latest(self._metrics.registry)
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})
