"""`watching`: whatever happens to a stream, it goes on, and nothing that happens meanwhile is missed."""

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec
import pytest

from modelyard_operator import store, watching
from tests.support import cluster_world, scripted_api
from tests.support.scripted_api import Answer, bookmark, child, error, line, listing

KIND = ("v1", "services")
TIMING = watching.Timing(watch_seconds=1, silence_seconds=0.3, list_seconds=2)
Look = Callable[["Watched"], bool]


class Watched:
    """What a test can see of a stream."""

    def __init__(self, api: scripted_api.ScriptedApi) -> None:
        self.api = api
        self.memory = store.Store()
        self.told: list[tuple[str, str]] = []
        self.beats: list[str] = []

    def names(self) -> set[str]:
        return {name for name in ("a", "b", "c") if self.memory.get("services", "ns", name)}


def follow(
    until: Look,
    lists: Sequence[Answer],
    watches: Sequence[Answer] = (),
    seconds: float = 10,
    timing: watching.Timing = TIMING,
) -> Watched:
    """Run a stream against a script until the test has seen what it waits for."""

    async def story() -> Watched:
        found = Watched(scripted_api.ScriptedApi(lists, watches))
        async with found.api.serve() as link:
            stream = watching.Stream(link, KIND, "", found.memory, found.told.append)
            running = asyncio.create_task(stream.run(timing, found.beats.append))

            async def is_seen() -> bool:
                if running.done():
                    running.result()
                return until(found)

            try:
                await cluster_world.wait_until(is_seen, "what the test waits for", seconds)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        return found

    return asyncio.run(story())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses, but for tests of the pauses."""
    monkeypatch.setattr(watching, "_FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(watching, "_LAST_BACKOFF_SECONDS", 0.05)


A1, B2 = child("a", 1), child("b", 2)
AFTER = Answer(line("ADDED", child("c", 20)), hangs=True)


TROUBLES = {
    "404": Answer(status=404),
    "403": Answer(status=403),
    "401": Answer(status=401),
    "500": Answer(status=500),
    "503": Answer(status=503),
    "504": Answer(status=504),
    "429": Answer(status=429, retry_after="1"),
    "in-stream 500": Answer(error(500)),
    "in-stream 504": Answer(error(504)),
    "garbage": Answer(b"no JSON\n"),
    "no object": Answer(b'{"type": "ADDED"}\n'),
    "an object that makes no sense": Answer(b'{"type": "ADDED", "object": {"metadata": {"name": 7}}}\n'),
    "a bookmark that makes no sense": Answer(
        b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "x"}}}\n'
    ),
    "half a line": Answer(line("ADDED", child("c", 20))[:-9]),
    "cut": Answer(cuts=True),
    "cut within a line": Answer(b"half a li", cuts=True),
    "an early end": Answer(),
    "silence": Answer(hangs=True),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_what_can_be_ridden_through_is_and_the_watch_resumes_where_it_was(trouble: Answer) -> None:
    found = follow(lambda seen: "c" in seen.names(), [listing(10, A1)], [trouble, AFTER])
    assert found.api.watched[:2] == ["10", "10"]
    assert found.api.listed == 1
    assert found.told == [("ns", "a"), ("ns", "c")]


@pytest.mark.parametrize("expired", [Answer(status=410), Answer(error(410))], ids=["HTTP", "in-stream"])
def test_after_a_lost_version_everything_is_listed_and_what_has_gone_is_told(expired: Answer) -> None:
    found = follow(
        lambda seen: seen.names() == {"b"}, [listing(10, A1, B2), listing(30, child("b", 2))], [expired]
    )
    assert found.api.listed == 2
    assert found.told == [("ns", "a"), ("ns", "b"), ("ns", "a")]
    assert found.api.watched in (["10", "30"], ["10"])


def test_a_watch_that_is_broken_again_and_again_makes_way_for_a_list() -> None:
    broken = [Answer(b"no JSON\n")] * 4
    found = follow(lambda seen: "c" in seen.names(), [listing(10, A1), listing(30, child("c", 20))], broken)
    assert found.api.listed == 2
    assert found.names() == {"c"}


def test_a_hole_in_memory_that_nothing_tells_of_is_filled_by_the_list_that_comes_once_in_a_while() -> None:
    often = msgspec.structs.replace(TIMING, relist_seconds=0)
    lists = [listing(10, A1, child("c", 3)), listing(10, A1, B2)]
    found = follow(lambda seen: seen.names() == {"a", "b"}, lists, [Answer()], timing=often)
    assert found.api.watched[0] == "10"
    assert found.told[2:] == [("ns", "b"), ("ns", "c")]


def test_a_list_comes_in_pages_and_lacks_nothing() -> None:
    pages = [listing(10, A1, more="second"), listing(10, B2)]
    found = follow(lambda seen: bool(seen.api.watched), pages)
    assert found.names() == {"a", "b"}
    assert [query.get("continue") for query in found.api.queries[:2]] == [None, "second"]
    assert {query["limit"] for query in found.api.queries[:2]} == {"500"}


def test_a_list_whose_rest_has_expired_begins_anew() -> None:
    pages = [listing(10, A1, more="second"), Answer(status=410), listing(12, A1, B2)]
    found = follow(lambda seen: bool(seen.api.watched), pages)
    assert found.names() == {"a", "b"}
    assert [query.get("continue") for query in found.api.queries[:3]] == [None, "second", None]


def test_events_and_bookmarks_move_the_place_to_resume_from() -> None:
    first = Answer(line("ADDED", child("b", 12)) + bookmark(40))
    second = Answer(line("DELETED", child("a", 41)))
    found = follow(lambda seen: len(seen.api.watched) > 2, [listing(10, A1)], [first, second])
    assert found.api.watched[:3] == ["10", "40", "41"]
    assert found.names() == {"b"}
    assert found.told == [("ns", "a"), ("ns", "b"), ("ns", "a")]


def test_events_may_be_cut_anywhere() -> None:
    text = line("ADDED", child("b", 12)) + line("ADDED", child("c", 13))
    halves = [Answer(text[: len(text) // 3]), Answer(text)]
    found = follow(lambda seen: "c" in seen.names(), [listing(10)], halves)
    assert found.told == [("ns", "b"), ("ns", "c")]


def test_an_event_of_the_past_brings_nothing_back() -> None:
    past = line("ADDED", child("a", 9)) + line("MODIFIED", child("b", 8)) + line("ADDED", child("c", 20))
    found = follow(lambda seen: "c" in seen.names(), [listing(10, B2)], [Answer(past, hangs=True)])
    assert found.names() == {"b", "c"}
    assert found.memory.version("services", "ns", "b") == 2


def test_a_list_of_the_past_is_refused_until_the_present_comes() -> None:
    lists = [listing(10, A1), listing(5), listing(5), listing(30, A1, B2)]
    found = follow(lambda seen: "b" in seen.names(), lists, [Answer(status=410)])
    assert found.told == [("ns", "a"), ("ns", "b")]  # the past did not take a away


def test_an_event_of_our_own_write_is_nothing_new() -> None:
    async def story() -> list[tuple[str, str]]:
        script = scripted_api.ScriptedApi(
            [listing(10)], [Answer(line("ADDED", child("a", 12)) + line("ADDED", child("b", 13)), hangs=True)]
        )
        told: list[tuple[str, str]] = []
        memory = store.Store()
        memory.learn(child("a", 12))
        async with script.serve() as link:
            stream = watching.Stream(link, KIND, "", memory, told.append)
            running = asyncio.create_task(stream.run(TIMING, lambda _: None))

            async def is_told() -> bool:
                return bool(told)

            await cluster_world.wait_until(is_told, "the other's event", 10)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return told

    assert asyncio.run(story()) == [("ns", "b")]


def test_while_nothing_helps_the_api_server_is_left_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_FIRST_BACKOFF_SECONDS", 0.2)
    monkeypatch.setattr(watching, "_LAST_BACKOFF_SECONDS", 10.0)
    began = time.monotonic()
    found = follow(lambda seen: len(seen.api.watched) >= 5, [listing(10)], [Answer(status=503)] * 20)
    assert time.monotonic() - began > 1.2  # at least half of 0.2, 0.4, 0.8 and 1.6 s
    assert found.beats.count("watch services") >= 5  # it comes round, and says so


def test_retry_after_is_respected() -> None:
    async def story() -> float:
        script = scripted_api.ScriptedApi([listing(10)], [Answer(status=429, retry_after="1")])
        async with script.serve() as link:
            stream = watching.Stream(link, KIND, "", store.Store(), lambda _: None)
            running = asyncio.create_task(stream.run(TIMING, lambda _: None))

            async def is_asked(times: int) -> bool:
                return len(script.watched) >= times

            await cluster_world.wait_until(lambda: is_asked(1), "the first watch", 10)
            began = asyncio.get_running_loop().time()
            await cluster_world.wait_until(lambda: is_asked(2), "the second watch", 10)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return asyncio.get_running_loop().time() - began

    assert asyncio.run(story()) > 0.8


def test_silence_is_told_until_something_is_heard() -> None:
    async def story() -> None:
        script = scripted_api.ScriptedApi([Answer(status=503), Answer(status=503), listing(10)])
        async with script.serve() as link:
            streams = watching.Watching(link, ("ns",), store.Store(), lambda _: None)
            assert streams.silent(-1.0)
            running = asyncio.create_task(streams.run(lambda _: None, TIMING))
            async with asyncio.timeout(10):
                await streams.until_synced()
            assert streams.silent(60.0) == ()
            assert {"pods in ns", "deployments in ns"} <= set(streams.silent(-1.0))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())
