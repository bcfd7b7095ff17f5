"""The `serve` command: uvicorn with our own idea of starting and stopping.

Called by `__main__`. Health answers while the model loads in a thread; SIGTERM begins a drain (`lifecycle.Drain`) in
which the socket stays open, where uvicorn alone would close it at once and leave late clients refused.
"""

import asyncio
import importlib.metadata
import logging
import os
import socket
import threading
import time
from types import FrameType

import uvicorn

from modelyard_runtime import errors, lifecycle, loading, logs, metrics, service, settings
from modelyard_runtime.access import certificate as certificates
from modelyard_runtime.access import tokens
from modelyard_runtime.http import app, connection, gate, guard, telemetry

_log = logging.getLogger(__name__)
# Longer than the idle time of common load balancers (60 s), which must be the first to close.
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048
# After the drain: what is still being written may finish; a client that hangs is cut off.
_LAST_WRITE_SECONDS = 2
_TICKS_BETWEEN_RENEWALS = 50  # five seconds


class Server(uvicorn.Server):
    """uvicorn's server with loading at the start and a drain at the end."""

    def __init__(
        self,
        config: uvicorn.Config,
        served: service.Service,
        guarded: guard.Guard,
        options: settings.ServeSettings,
    ) -> None:
        super().__init__(config)
        self._service = served
        self._guard = guarded
        self._options = options
        self._drain: lifecycle.Drain | None = None
        self.certificate: certificates.Certificate | None = None
        self.failure: errors.StartFailure | None = None
        self.failed_stage = lifecycle.Stage.LOADING

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens the socket, then starts loading."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        # A daemon: SIGTERM while loading ends the process at once.
        threading.Thread(target=self._run_loading, args=(loop,), name="load", daemon=True).start()

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

    def _run_loading(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in the loading thread; everything it finds out is handed to the event loop."""
        stage = lifecycle.Stage.LOADING

        def enter(following: lifecycle.Stage) -> None:
            nonlocal stage
            stage = following
            loop.call_soon_threadsafe(self._service.enter, following)

        try:
            served = loading.load(self._options, enter)
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


def serve(options: settings.ServeSettings) -> Server:
    """Serves until told to stop, and gives the server for its verdict: `failure` is None after a clean stop."""
    counters = metrics.Metrics()
    served = service.Service(options.model_name, counters, options.batch_max_size)
    certificate = _certificate(options.access)
    rules = gate.Rules(_tokens(options), options.access.client_certificates)
    guarded = app.create_app(served, counters, options.max_body_bytes, version(), rules)
    config = uvicorn.Config(
        guarded,
        loop="uvloop",
        http=connection.BoundedConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_LAST_WRITE_SECONDS,
        ssl_context_factory=None if certificate is None else lambda _config, _default: certificate.context,
    )
    guarded.telemetry = _telemetry(options)
    server = Server(config, served, guarded, options)
    server.certificate = certificate
    _log.info(
        "loading", extra={"fields": {"model": options.model_name, "port": options.port, "pid": os.getpid()}}
    )
    server.run([_listen(options.port)])
    return server


def _tokens(options: settings.ServeSettings) -> tokens.Tokens | None:
    """Gives the tokens that requests must have; raises `StartFailure` when there should be some and are none."""
    if options.access.tokens_dir is None:
        return None
    known = tokens.Tokens(options.access.tokens_dir, time.monotonic, options.workers)
    known.load()
    return known


def _telemetry(options: settings.ServeSettings) -> telemetry.Telemetry | None:
    """Gives what tells of single requests; None where nobody wants to be told."""
    export: telemetry.Exporter | None = None
    if options.exports_spans:
        # Half a second of imports that nobody else pays for.
        from modelyard_runtime import spans  # noqa: PLC0415

        export = spans.Exporter(options.model_name, version())
    told = telemetry.Telemetry(options.access_log_share, export)
    return None if told.is_silent else told


def _certificate(access: settings.Access) -> certificates.Certificate | None:
    """Gives the certificate to serve with; raises `StartFailure` when there should be one and is none."""
    if access.tls_dir is None:
        return None
    certificate = certificates.Certificate(access.tls_dir, access.client_certificates)
    certificate.load()
    return certificate


def _listen(port: int) -> socket.socket:
    """Gives the listening socket, for IPv4 and where there is IPv6 for both; raises `StartFailure`."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=_BACKLOG)
    except OSError as error:
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID, f"MODELYARD_PORT: can't listen on port {port}: {error.strerror}"
        ) from error


def version() -> str:
    """Gives the version of this distribution."""
    return importlib.metadata.version("modelyard")
