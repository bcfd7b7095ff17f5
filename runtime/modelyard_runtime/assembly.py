"""Puts a serving process together from the settings: application, limits, certificate, event loop.

`workers` calls `build` once for each process that serves, and `listen` once for each socket. It decides nothing.
"""

import importlib.metadata
import socket
import time

import uvicorn

from modelyard_runtime import errors, metrics, server, service, settings
from modelyard_runtime.access import certificate as certificates
from modelyard_runtime.access import tokens
from modelyard_runtime.http import app, connection, gate, telemetry

# Longer than the idle time of common load balancers (60 s), which must be the first to close.
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048
# After the drain: what is still being written may finish; a client that hangs is cut off.
_LAST_WRITE_SECONDS = 2


def build(
    options: settings.ServeSettings, counters: metrics.Metrics, load: server.Load | None
) -> server.Server:
    """Gives a server that is ready to run; `load` is None for one that only tells that there is no model yet.

    Raises `StartFailure` when tokens or certificate are missing.
    """
    inference = service.Service(options.model_name, counters, options.batch_max_size)
    certificate = _certificate(options.access)
    rules = gate.Rules(_tokens(options), options.access.client_certificates)
    guarded = app.create_app(inference, counters, options.max_body_bytes, version(), rules)
    config = uvicorn.Config(
        guarded,
        loop="uvloop",
        http=connection.BoundedConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks for the client's address, so no layer has to find it out
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_LAST_WRITE_SECONDS,
        ssl_context_factory=None if certificate is None else lambda _config, _default: certificate.context,
    )
    guarded.telemetry = _telemetry(options)
    built = server.Server(config, inference, guarded, options, load)
    built.certificate = certificate
    return built


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


def listen(port: int, is_shared: bool) -> socket.socket:
    """Gives a listening socket, for IPv4 and where there is IPv6 for both; raises `StartFailure`.

    Shared, others may listen on the same port, and the kernel gives each its part of the connections.
    """
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        return socket.create_server(
            ("", port), family=family, dualstack_ipv6=dual, backlog=_BACKLOG, reuse_port=is_shared
        )
    except OSError as error:
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID, f"MODELYARD_PORT: can't listen on port {port}: {error.strerror}"
        ) from error


def version() -> str:
    """Gives the version of this distribution."""
    return importlib.metadata.version("modelyard")
