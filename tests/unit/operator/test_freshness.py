"""`freshness`: a deaf watch ends the process, an API server that is down does not."""

import asyncio
from collections.abc import Mapping

import pytest

from modelyard_operator import errors, freshness

GRACE_SECONDS = 0.05


def nothing_is_silent(seconds: float) -> tuple[str, ...]:
    return ()


def check(seen: freshness.Seen, *lists: Mapping[str, int] | errors.ClusterError) -> None:
    """Let the guard look once; the lists are the API server's answers, one after the other."""
    answers = list(lists)

    async def list_versions() -> Mapping[str, int]:
        answer = answers.pop(0)
        if isinstance(answer, errors.ClusterError):
            raise answer
        return answer

    asyncio.run(freshness.Guard(seen, list_versions, nothing_is_silent, GRACE_SECONDS).check())
    assert answers == []


def seen(**versions: int) -> freshness.Seen:
    found = freshness.Seen()
    for uid, version in versions.items():
        found.note(uid, str(version))
    return found


def test_a_watch_that_has_brought_everything_is_fresh() -> None:
    check(seen(a=5, b=7), {"a": 5, "b": 6})


def test_versions_are_compared_as_numbers() -> None:
    check(seen(a=100), {"a": 99})


@pytest.mark.parametrize("watched", [{}, {"a": 4}])
def test_a_watch_that_misses_an_object_or_its_newest_version_is_deaf(watched: dict[str, int]) -> None:
    with pytest.raises(freshness.Deaf, match="1 ModelDeployments"):
        check(seen(**watched), {"a": 5}, {"a": 9})


def test_what_was_deleted_in_the_meantime_is_not_missed() -> None:
    check(seen(), {"a": 5}, {})


def test_a_watch_that_catches_up_in_time_is_fresh() -> None:
    found = seen(a=4)

    async def story() -> None:
        async def list_versions() -> Mapping[str, int]:
            asyncio.get_running_loop().call_later(0.01, found.note, "a", "5")
            return {"a": 5}

        await freshness.Guard(found, list_versions, nothing_is_silent, grace_seconds=2).check()

    asyncio.run(story())


def test_an_older_event_that_comes_late_takes_nothing_back() -> None:
    found = seen(a=5)
    found.note("a", "3")
    check(found, {"a": 5})


def test_a_deletion_is_forgotten_so_that_the_memory_does_not_grow() -> None:
    found = seen(a=5)
    found.forget("a")
    found.forget("never seen")
    assert found.lacks({"a": 1}) == {"a"}


def test_a_watch_of_children_that_stays_silent_is_deaf_and_named() -> None:
    async def story(silent: list[tuple[str, ...]]) -> None:
        async def list_versions() -> Mapping[str, int]:
            return {}

        def is_silent(seconds: float) -> tuple[str, ...]:
            assert seconds >= 60  # the API server says something every 40 s
            return silent.pop(0) if len(silent) > 1 else silent[0]

        await freshness.Guard(seen(), list_versions, is_silent, GRACE_SECONDS).check()

    with pytest.raises(freshness.Deaf, match="services"):
        asyncio.run(story([("services",)]))
    asyncio.run(story([("services",), ()]))  # heard of again in time


def test_nothing_is_said_while_the_api_server_does_not_answer() -> None:
    with pytest.raises(errors.ClusterError):
        check(seen(), errors.ClusterError("list", 503, "down"))
    with pytest.raises(errors.ClusterError):
        check(seen(), {"a": 5}, errors.ClusterError("list", 503, "down"))


def test_the_guard_rides_through_an_outage_and_then_ends_the_process() -> None:
    async def story() -> None:
        answers: list[Mapping[str, int] | errors.ClusterError] = [
            errors.ClusterError("list", 503, "down"),
            errors.ClusterError("list", 0, "no answer"),
            {"a": 5},
            {"a": 5},
        ]

        async def list_versions() -> Mapping[str, int]:
            answer = answers.pop(0)
            if isinstance(answer, errors.ClusterError):
                raise answer
            return answer

        with pytest.raises(freshness.Deaf):
            await freshness.Guard(seen(), list_versions, nothing_is_silent, GRACE_SECONDS).watch(
                interval_seconds=0.01
            )
        assert answers == []

    asyncio.run(story())
