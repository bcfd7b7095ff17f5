"""What is told about a single request: a sampled line in the log, and a span where somebody collects them.

`http.guard` calls `finish` once a request is answered; nothing here runs where neither is configured, which is the
default. The caller's W3C trace context (`traceparent`) is carried into both, so that a request can be found again
across services. Neither holds a body, a query, a token or an address.
"""

import logging
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec

from modelyard_runtime.http import asgi

_log = logging.getLogger("modelyard_runtime.access")
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 0x01
_LONGEST_PATH = 200


class Trace(msgspec.Struct, frozen=True):
    """The caller's place in a trace."""

    trace_id: str
    span_id: str
    is_sampled: bool


class Finished(msgspec.Struct, frozen=True):
    """A request that has been answered; times are nanoseconds since 1970."""

    method: str
    path: str
    protocol: str
    status: int
    started_ns: int
    ended_ns: int
    trace: Trace | None
    client: str | None


Exporter = Callable[[Finished], None]


def parse_traceparent(header: bytes | None) -> Trace | None:
    """Gives the caller's trace; None when there is none, or none that can be read: the request then starts its own."""
    match = _TRACEPARENT.fullmatch(header or b"")
    if match is None or match[1] == b"ff" or not match[2].strip(b"0") or not match[3].strip(b"0"):
        return None
    return Trace(match[2].decode(), match[3].decode(), bool(int(match[4], 16) & _SAMPLED))


class Telemetry:
    """Tells of requests; `log_share` is the share of requests that get a line, `export` takes all of them."""

    def __init__(self, log_share: float, export: Exporter | None = None) -> None:
        self._log_share = log_share
        self._export = export
        self._owed = 0.0

    @property
    def is_silent(self) -> bool:
        """Says whether there is nothing to tell anybody."""
        return self._log_share == 0 and self._export is None

    def finish(self, scope: asgi.Scope, status: int, seconds: float) -> None:
        """Tells of one request; server errors always get a line where any does."""
        # Not at random: a share of one in a hundred is every hundredth request.
        self._owed += self._log_share
        is_logged = self._owed >= 1 or (self._log_share > 0 and status >= 500)
        if is_logged:
            self._owed = max(self._owed - 1, 0.0)
        if not is_logged and self._export is None:
            return
        ended_ns = time.time_ns()
        finished = Finished(
            scope["method"],
            scope["path"][:_LONGEST_PATH],
            scope.get("modelyard.protocol", "other"),
            status,
            ended_ns - int(seconds * 1e9),
            ended_ns,
            parse_traceparent(asgi.header(scope, b"traceparent")),
            scope.get("modelyard.client"),
        )
        if is_logged:
            _log.info("request", extra={"fields": _fields(finished, seconds)})
        if self._export is not None:
            self._export(finished)


def _fields(finished: Finished, seconds: float) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "method": finished.method,
        "path": finished.path,
        "protocol": finished.protocol,
        "code": finished.status,
        "ms": round(seconds * 1000, 3),
    }
    if finished.client is not None:
        fields["client"] = finished.client
    if finished.trace is not None:
        fields["trace_id"] = finished.trace.trace_id
    return fields
