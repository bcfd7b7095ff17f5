"""JSON logs: one object per line, a constant message and keys, for our own loggers and kopf's alike.

Set up once by `__main__`. Keys come from `extra=`; nothing is formatted into messages. No secret is ever passed, and
what looks like one all the same, in another's words, is taken out of every text.
"""

import datetime
import json
import logging
import sys

from modelyard_operator import redaction

# What every LogRecord has; the rest of a record's attributes are the keys that were given with `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        line = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redaction.redact(record.getMessage()),
        }
        # kopf attaches whole objects to its records; only what is plain gets through.
        for key, value in vars(record).items():
            if key not in _STANDARD and isinstance(value, str | int | float | bool):
                line[key] = redaction.redact(value) if isinstance(value, str) else value  # type: ignore[assignment]
        if record.exc_info:
            line["exception"] = redaction.redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str) -> None:
    """Send every log line of the process to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Each watched event and each retry of kopf would be a line; what it gives up on still is one.
    logging.getLogger("kopf").setLevel(logging.WARNING if level != "debug" else logging.DEBUG)
