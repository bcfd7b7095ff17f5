"""An identity's calls are counted from the audit log, once each, also when it is turned over meanwhile."""

import json
from pathlib import Path

import pytest

from bench import audit

OPERATOR = "system:serviceaccount:x:operator"


def line(verb: str, resource: str, user: str = OPERATOR, stage: str = "ResponseComplete") -> str:
    body = {
        "stage": stage,
        "verb": verb,
        "user": {"username": user, "uid": "1"},
        "objectRef": {"resource": resource},
    }
    return json.dumps(body, separators=(",", ":")) + "\n"


def append(logs: Path, text: str) -> None:
    with (logs / "audit.log").open("a") as log:
        log.write(text)


def test_only_calls_since_then_of_that_user_that_are_complete_count(tmp_path: Path) -> None:
    append(tmp_path, line("get", "services"))
    counted = audit.Audit(tmp_path, OPERATOR)
    append(tmp_path, line("patch", "deployments") * 2)
    append(tmp_path, line("patch", "deployments", user="system:admin"))
    append(tmp_path, line("watch", "deployments", stage="ResponseStarted"))
    append(tmp_path, line("get", "leases")[:-20])
    assert counted.calls() == {("patch", "deployments"): 2}


def test_a_log_that_was_turned_over_is_read_on(tmp_path: Path) -> None:
    append(tmp_path, line("get", "services"))
    counted = audit.Audit(tmp_path, OPERATOR)
    append(tmp_path, line("create", "services"))
    (tmp_path / "audit.log").rename(tmp_path / "audit-2026-01-01T00-00-00.000.log")
    append(tmp_path, line("delete", "services"))
    assert counted.calls() == {("create", "services"): 1, ("delete", "services"): 1}


def test_a_log_that_is_gone_is_an_error_and_not_a_zero(tmp_path: Path) -> None:
    append(tmp_path, line("get", "services"))
    counted = audit.Audit(tmp_path, OPERATOR)
    (tmp_path / "audit.log").rename(tmp_path / "old")
    append(tmp_path, line("delete", "services"))
    with pytest.raises(RuntimeError, match="turned over"):
        counted.calls()


def test_leases_events_and_reviews_are_no_writes_to_what_is_managed(tmp_path: Path) -> None:
    append(tmp_path, "")
    counted = audit.Audit(tmp_path, OPERATOR)
    beside = [("patch", "leases"), ("create", "events"), ("create", "tokenreviews"), ("list", "services")]
    append(tmp_path, "".join(line(verb, resource) for verb, resource in beside))
    assert audit.writes(counted.calls()) == 0
    append(tmp_path, line("patch", "modeldeployments") + line("delete", "services"))
    assert audit.writes(counted.calls()) == 2
