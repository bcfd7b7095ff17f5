"""Structured logs: one JSON object per line on standard error, uvicorn's lines included.

`__main__` configures it once. A record's own keys come in `extra={"fields": {…}}`; messages are constant text.
Payloads, credentials and URIs with their query must never be handed to it.
"""

import datetime
import json
import logging
import sys


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; tracebacks only when debugging."""

    def __init__(self, with_tracebacks: bool) -> None:
        super().__init__()
        self._with_tracebacks = with_tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """Gives the line, without its end."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = describe_exception(record.exc_info[1])
            if self._with_tracebacks:
                line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=True)


def configure(level: str) -> None:
    """Sends everything at or above `level` to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(with_tracebacks=level == "debug"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # uvicorn tells at "info" what our own lines tell better.
    logging.getLogger("uvicorn.error").setLevel("DEBUG" if level == "debug" else "WARNING")
    # At "debug", HTTP clients tell every URL with its query, which may hold a signature.
    for client in ("urllib3", "httpx", "httpcore"):
        logging.getLogger(client).setLevel("WARNING")
    logging.captureWarnings(True)


def describe_exception(error: BaseException) -> str:
    """Gives an exception as its type, text and the place it came from: enough to report, no traceback."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f" ({trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"
