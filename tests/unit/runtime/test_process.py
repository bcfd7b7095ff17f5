"""Threads follow the container's limit, and logs are one JSON object per line."""

import json
import logging
import os
import sys
from pathlib import Path

import pytest

from modelyard_runtime import cpu, logs

LIMITS = {
    "two CPUs, version 2": ("200000 100000", None, None, 2),
    "half a CPU": ("50000 100000", None, None, 1),
    "one and a half are one": ("150000 100000", None, None, 1),
    "no limit": ("max 100000", None, None, 8),
    "more than there are": ("6400000 100000", None, None, 8),
    "two CPUs, version 1": (None, "200000", "100000", 2),
    "no limit, version 1": (None, "-1", "100000", 8),
    "neither": (None, None, None, 8),
    "not understood": ("what is this", None, None, 8),
    "a period of nothing": ("1 0", None, None, 8),
}


@pytest.mark.parametrize("case", LIMITS)
def test_threads_follow_the_limit(case: str) -> None:
    cpu_max, quota, period, threads = LIMITS[case]
    assert cpu.thread_count(cpu_max, quota, period, available=8) == threads


def test_the_variables_are_set_where_nobody_has_set_them(tmp_path: Path) -> None:
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("100000 100000\n")
    environment = {"OMP_NUM_THREADS": "7"}
    assert cpu.limit_threads(environment, tmp_path) == 1
    assert environment == {**dict.fromkeys(cpu.VARIABLES, "1"), "OMP_NUM_THREADS": "7"}


def test_the_own_group_comes_before_the_root_group(tmp_path: Path) -> None:
    own = tmp_path / "sys/fs/cgroup/kubepods/pod1"
    own.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/kubepods/pod1\n")
    (own / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("900000 100000\n")
    assert cpu.limit_threads({}, tmp_path) == 1


def test_without_a_limit_it_is_what_the_process_may_use(tmp_path: Path) -> None:
    assert cpu.limit_threads({}, tmp_path) == len(os.sched_getaffinity(0))


def _record(message: str, level: int = logging.INFO, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("modelyard_runtime.x", level, __file__, 1, message, (), info)


def test_a_line_is_one_json_object() -> None:
    record = _record("two\nlines \x1b[31m")
    record.fields = {"uri": "s3://b/k", "path": Path("a")}
    record.created = 1_790_000_000.5
    line = logs.JsonFormatter(with_tracebacks=False).format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line) == {
        "time": "2026-09-21T14:13:20.500Z",
        "level": "info",
        "logger": "modelyard_runtime.x",
        "message": "two\nlines \x1b[31m",
        "uri": "s3://b/k",
        "path": "a",
    }


def _raised() -> ValueError:
    try:
        raise ValueError("bad")
    except ValueError as error:
        return error


def test_tracebacks_are_for_debugging() -> None:
    record = _record("failed", logging.ERROR, _raised())
    plain = json.loads(logs.JsonFormatter(with_tracebacks=False).format(record))
    assert plain["exception"].startswith("ValueError: bad (")
    assert "traceback" not in plain
    assert "Traceback" in json.loads(logs.JsonFormatter(with_tracebacks=True).format(record))["traceback"]


def test_uvicorn_speaks_through_the_same_formatter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers[:])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    logs.configure("info")
    logging.captureWarnings(False)
    logging.getLogger("uvicorn.error").info("not interesting")
    logging.getLogger("uvicorn.error").warning("interesting")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["interesting"]
