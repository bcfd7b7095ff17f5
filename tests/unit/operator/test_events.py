"""`events` and `recorder`: transitions are told once each, and telling never stops a visit."""

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from modelyard_operator import api, errors, events, metrics, recorder
from modelyard_operator.objects import Manifest

IDENTITY = api.Identity(namespace="default", name="iris", uid="u1", generation=3, is_deleting=False)


def status(
    ready: str,
    available: str = "PodsReady",
    candidate: str = "",
    message: str = "2 of 3 pods.",
    at: str = "t1",
) -> api.Status:
    """Give a status by its reasons: "Stalled/NameTaken" is the reason with the condition it comes with."""
    also, _separator, reason = ready.rpartition("/")
    answers = [
        ("Available", "True" if available == "PodsReady" else "False", available),
        ("Ready", "True" if reason in ("RolledOut", "Stopped") else "False", reason),
        *([(also, "True", reason)] if also else []),
    ]
    return api.Status(
        observed_generation=3,
        conditions=[
            api.Condition(
                type=kind,
                status=answer,  # type: ignore[arg-type]
                reason=why,
                message=message,
                last_transition_time=at,
                observed_generation=3,
            )
            for kind, answer, why in answers
        ],
        replicas=3,
        ready_replicas=2,
        updated_replicas=3,
        available="2/3",
        selector="a=b",
        candidate=api.RevisionStatus(revision=candidate, uri="", ready=0, replicas=1) if candidate else None,
    )


def stored(said: api.Status) -> dict[str, Any]:
    before: dict[str, Any] = msgspec.to_builtins(said)
    return before


def told(before: api.Status | None, said: api.Status) -> list[str]:
    found = events.decide(IDENTITY, stored(before) if before else {"observedGeneration": -1}, said)
    return [f"{event.type} {event.reason}" for event in found]


ROLLING = "Reconciling/RollingOut"


@pytest.mark.parametrize(
    ("before", "said", "expected"),
    [
        pytest.param(None, status(ROLLING, "NoPodReady"), ["Normal RollingOut"], id="a new model starts"),
        pytest.param(
            status(ROLLING, "NoPodReady"), status("RolledOut"), ["Normal RolledOut"], id="it is ready: once"
        ),
        pytest.param(
            status("RolledOut"), status("RolledOut", message="other"), [], id="only the words change"
        ),
        pytest.param(status("RolledOut"), status("Reconciling/Observing"), [], id="a moment's uncertainty"),
        pytest.param(
            None,
            status("Reconciling/Observing", "NoPodReady", candidate="iris-1"),
            [],
            id="a new model's first moment",
        ),
        pytest.param(
            status("RolledOut"),
            status(ROLLING, candidate="iris-2"),
            ["Normal RollingOut"],
            id="an update starts",
        ),
        pytest.param(
            status(ROLLING, candidate="iris-2"),
            status(ROLLING, candidate="iris-3"),
            ["Normal RollingOut"],
            id="another update overtakes it",
        ),
        pytest.param(
            status(ROLLING, candidate="iris-2"),
            status("Stalled/DigestMismatch", candidate="iris-2"),
            ["Warning DigestMismatch"],
            id="it fails",
        ),
        pytest.param(
            status("RolledOut"),
            status("Reconciling/PodsNotReady", "NoPodReady"),
            ["Normal PodsNotReady", "Warning NoPodReady"],
            id="serving ends",
        ),
        pytest.param(
            status("Stalled/CrashLoop", "NoPodReady"),
            status("Stalled/CrashLoop"),
            ["Normal PodsReady"],
            id="an older revision serves again",
        ),
        pytest.param(
            status("RolledOut"), status("Stopped", "Stopped"), ["Normal Stopped"], id="stopped is told once"
        ),
    ],
)
def test_what_is_told(before: api.Status | None, said: api.Status, expected: list[str]) -> None:
    assert told(before, said) == expected


def name(before: api.Status, said: api.Status, identity: api.Identity = IDENTITY) -> str:
    (event,) = events.decide(identity, stored(before), said)
    return event.name


def test_one_transition_has_one_name_and_another_has_another() -> None:
    before, said = status("RolledOut"), status("Stalled/CrashLoop")
    once = name(before, said)
    assert once == name(before, status("Stalled/CrashLoop", message="other words"))
    assert once.startswith("iris.")
    others = {
        name(status("RolledOut", at="t2"), said),
        name(before, status("Stalled/LoadFailed")),
        name(before, said, msgspec.structs.replace(IDENTITY, uid="u2")),
        name(before, said, msgspec.structs.replace(IDENTITY, generation=4)),
        name(before, status("Stalled/CrashLoop", candidate="iris-2")),
    }
    assert len(others | {once}) == 6


def test_a_note_fits_and_carries_no_secret() -> None:
    said = status("Stalled/FetchFailed", message="https://u:c4n4ry@h/x " + "é" * 5000)
    (event,) = events.decide(IDENTITY, stored(status("RolledOut")), said)
    assert len(event.note.encode()) <= events.NOTE_MAX
    assert "c4n4ry" not in event.note


def test_a_long_name_still_gives_a_valid_one() -> None:
    long = msgspec.structs.replace(IDENTITY, name="a" * 253)
    assert len(name(status("RolledOut"), status("Stalled/CrashLoop"), long)) == 253


class Api:
    """Takes Events, or fails in a given way."""

    def __init__(self, *failures: errors.ClusterError) -> None:
        self.failures = list(failures)
        self.created: list[Manifest] = []

    async def create(self, manifest: Manifest) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.created.append(manifest)


def record(server: Api, before: api.Status, said: api.Status) -> metrics.Metrics:
    numbers = metrics.Metrics()
    teller = recorder.Recorder(server.create, numbers, "pod-1", lambda: "2026-02-01T00:00:00.000000Z")
    asyncio.run(teller.record(IDENTITY, stored(before), said))
    return numbers


def test_an_event_is_about_the_resource_and_says_who_tells_it() -> None:
    server = Api()
    record(server, status("RolledOut"), status("Stalled/CrashLoop"))
    (manifest,) = server.created
    assert manifest["regarding"]["uid"] == "u1"
    assert manifest["metadata"]["namespace"] == "default"
    assert manifest["reportingInstance"] == "pod-1"
    assert (manifest["type"], manifest["reason"], manifest["action"]) == ("Warning", "CrashLoop", "RollOut")


def test_one_that_was_told_before_is_no_error() -> None:
    server = Api(errors.ClusterError("create Event", 409, "already exists"))
    numbers = record(server, status("RolledOut"), status("Stalled/CrashLoop"))
    assert numbers.registry.get_sample_value("modelyard_operator_event_errors_total") == 0


def test_one_that_cannot_be_written_is_counted_and_logged_and_the_next_is_tried(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    server = Api(errors.ClusterError("create Event", 403, "forbidden"))
    numbers = record(server, status("RolledOut"), status("Reconciling/PodsNotReady", "NoPodReady"))
    assert numbers.registry.get_sample_value("modelyard_operator_event_errors_total") == 1
    assert [manifest["reason"] for manifest in server.created] == ["NoPodReady"]
    assert "event not written" in caplog.text


def test_the_resource_is_counted_with_its_conditions() -> None:
    numbers = record(Api(), status("RolledOut"), status("Stalled/CrashLoop"))
    for condition, answer in (("Ready", "False"), ("Stalled", "True"), ("Available", "True")):
        labels = {"condition": condition, "status": answer}
        assert numbers.registry.get_sample_value("modelyard_operator_resources", labels) == 1
