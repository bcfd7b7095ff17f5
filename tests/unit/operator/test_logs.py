"""`logs`: one JSON object per line, with the keys that were given and nothing that doesn't belong into a log."""

import json
import logging
import sys

from modelyard_operator import logs


def line(message: str, level: int = logging.INFO, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("a.b", level, __file__, 1, message, (), None)
    vars(record).update(extra)
    decoded: dict[str, object] = json.loads(logs.JsonFormatter().format(record))
    return decoded


def test_a_line_has_time_level_logger_message_and_the_keys_given() -> None:
    found = line("write", namespace="default", attempt=2)
    assert {key: found[key] for key in ("level", "logger", "message", "namespace", "attempt")} == {
        "level": "info",
        "logger": "a.b",
        "message": "write",
        "namespace": "default",
        "attempt": 2,
    }
    assert str(found["time"]).endswith("+00:00")


def test_whole_objects_that_a_library_attaches_stay_out() -> None:
    assert "k8s_ref" not in line("x", k8s_ref={"kind": "Secret"})


def test_line_breaks_in_a_message_can_not_forge_a_line() -> None:
    record = logging.LogRecord("a", logging.INFO, __file__, 1, 'x\n{"level": "error"}', (), None)
    assert "\n" not in logs.JsonFormatter().format(record)


def test_an_exception_is_part_of_the_line() -> None:
    try:
        raise ValueError("boom")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    assert "ValueError: boom" in json.loads(logs.JsonFormatter().format(record))["exception"]
