"""The operator's own port: /livez, /readyz and /metrics.

Liveness is told from work that gets done, not from the fact that HTTP answers: a queue that stands still or an event
loop that is late makes it fail. A deaf watch isn't asked about here: `freshness` ends the process for that. Run by
`__main__`.
"""

import asyncio
from collections.abc import Callable

import prometheus_client
from aiohttp import web

from modelyard_operator import metrics

STUCK_SECONDS = 300.0  # every API call has a timeout of 30 s; nothing honest takes this long
_LAG_PERIOD_SECONDS = 1.0


class Health:
    """Answers the probes."""

    def __init__(self, numbers: metrics.Metrics, oldest_seconds: Callable[[], float]) -> None:
        self._metrics = numbers
        self._oldest_seconds = oldest_seconds
        self._is_ready = False

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
        age = self._oldest_seconds()
        if age > STUCK_SECONDS:
            return web.Response(status=503, text=f"a key has been waiting for {age:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if not self._is_ready:
            return web.Response(status=503, text="not watching yet\n")
        return web.Response(text="ok\n")

    async def _expose(self, _request: web.Request) -> web.Response:
        body = prometheus_client.generate_latest(self._metrics.registry)
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})
