"""uvicorn with our own idea of starting and stopping.

`assembly` builds it, `workers` runs it. Health answers while the model loads in a thread; SIGTERM begins a drain
(`lifecycle.Drain`) in which the socket stays open, where uvicorn alone would close it at once and leave late clients
refused.
"""

import asyncio
import gc
import logging
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from modelyard_runtime import errors, lifecycle, logs, service, settings
from modelyard_runtime.access import certificate as certificates
from modelyard_runtime.http import guard

_log = logging.getLogger(__name__)
# Gives the model, and says meanwhile which stage it enters; raises `StartFailure`.
Load = Callable[[Callable[[lifecycle.Stage], None]], service.Served]
_TICKS_BETWEEN_RENEWALS = 50  # five seconds


class Server(uvicorn.Server):
    """uvicorn's server with loading at the start and a drain at the end."""

    def __init__(
        self,
        config: uvicorn.Config,
        served: service.Service,
        guarded: guard.Guard,
        options: settings.ServeSettings,
        load: Load | None,
    ) -> None:
        super().__init__(config)
        self._service = served
        self._guard = guarded
        self._options = options
        self._load = load
        self._drain: lifecycle.Drain | None = None
        self.certificate: certificates.Certificate | None = None
        self.failure: errors.StartFailure | None = None
        self.failed_stage = lifecycle.Stage.LOADING

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens the socket, then starts loading."""
        await super().startup(sockets)
        if self._load is None:
            return
        # A daemon: SIGTERM while loading ends the process at once.
        arguments = self._load, asyncio.get_running_loop()
        threading.Thread(target=self._run_loading, args=arguments, name="load", daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the drain on the first signal; a second one ends the process."""
        del sig, frame
        if not self._service.is_ready:
            self.should_exit = True
            self.force_exit = self._drain is not None
            return
        self._service.enter(lifecycle.Stage.DRAINING)
        self._drain = lifecycle.plan_drain(time.monotonic(), self._options.drain_seconds)

    async def on_tick(self, counter: int) -> bool:
        """Decides ten times a second whether to stop."""
        drain = self._drain
        if drain is not None and drain.is_over(
            time.monotonic(), self._guard.last_request_at, self._guard.in_flight
        ):
            self.should_exit = True
        if self.certificate is not None and counter % _TICKS_BETWEEN_RENEWALS == 0:
            self.certificate.renew()
        return await super().on_tick(counter)

    def _run_loading(self, load: Load, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in the loading thread; everything it finds out is handed to the event loop."""
        stage = lifecycle.Stage.LOADING

        def enter(following: lifecycle.Stage) -> None:
            nonlocal stage
            stage = following
            loop.call_soon_threadsafe(self._service.enter, following)

        try:
            served = load(enter)
        except errors.StartFailure as failure:
            loop.call_soon_threadsafe(self._give_up, failure, stage)
        except Exception as error:
            # The outermost loop of this thread.
            _log.exception("loading failed")
            internal = errors.StartFailure(
                errors.Reason.INTERNAL_ERROR, f"loading failed: {logs.describe_exception(error)}"
            )
            loop.call_soon_threadsafe(self._give_up, internal, stage)
        else:
            loop.call_soon_threadsafe(self._start_serving, served)

    def _give_up(self, failure: errors.StartFailure, stage: lifecycle.Stage) -> None:
        self.failure = failure
        self.failed_stage = stage
        self._service.enter(lifecycle.Stage.FAILED)
        self.should_exit = True

    def _start_serving(self, served: service.Served) -> None:
        # What is here now stays: the collector need not go through all of a library and a model while requests wait.
        gc.freeze()
        self._service.serve(served)
        signature = served.model.signature
        _log.info(
            "ready",
            extra={
                "fields": {
                    "model": self._options.model_name,
                    "format": served.model.format,
                    "digest": served.manifest.digest,
                    "takes": signature.expected,
                    "predict_ms": round(served.cost.estimate(1) * 1000, 3),
                    "versions": dict(served.model.versions),
                }
            },
        )
