"""A transfer brings exactly the source's bytes, however it is cut and broken, or says why it can't."""

import dataclasses
import hashlib
import itertools
import threading
from pathlib import Path

import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import progress, source, transfer, volume
from tests.unit.runtime.origins import FILE, SPAN, Origin, content_of


def _fetch(
    origin: source.Source,
    tmp_path: Path,
    limit_bytes: int = 2**40,
    connections: int = 4,
    tick_seconds: float = 0.01,
) -> tuple[transfer.Written, list[float], transfer.Means]:
    """Fetches the file; each look at the clock finds it `tick_seconds` later, so that one connection seems slow."""
    waits: list[float] = []
    ticks = itertools.count()
    means = transfer.Means(
        volume.Budget(limit_bytes), progress.Progress("x"), waits.append, lambda: next(ticks) * tick_seconds
    )
    written = transfer.fetch_file(origin, FILE, tmp_path / "m", means, connections)
    return written, waits, means


def _is_right(written: transfer.Written, content: bytes, tmp_path: Path, means: transfer.Means) -> bool:
    return (
        (tmp_path / "m").read_bytes() == content
        and written == transfer.Written("sha256:" + hashlib.sha256(content).hexdigest(), len(content))
        and means.progress.done_bytes == len(content)
    )


@pytest.mark.parametrize("size_bytes", [0, 1, 1000, SPAN - 1, SPAN, SPAN + 1, 3 * SPAN + 12345])
@pytest.mark.parametrize("version", ["v1", None])
@pytest.mark.parametrize("has_spans", [True, False])
def test_every_size_arrives_however_it_is_cut(
    size_bytes: int, version: str | None, has_spans: bool, tmp_path: Path
) -> None:
    origin = Origin(content_of(size_bytes), version, has_spans)
    written, waits, means = _fetch(origin, tmp_path)
    assert _is_right(written, origin.content, tmp_path, means)
    assert waits == []
    is_cut = version is not None and has_spans
    assert len(origin.asked) == (max(1, -(-size_bytes // SPAN)) if is_cut else 1 + has_spans)


@pytest.mark.parametrize(("tick_seconds", "is_alone"), [(0.0, True), (0.01, False)], ids=["fast", "slow"])
def test_more_connections_are_made_where_one_is_slow(
    tick_seconds: float, is_alone: bool, tmp_path: Path
) -> None:
    threads: set[str] = set()
    content = content_of(3 * SPAN)
    origin = Origin(content, on_open=lambda _: threads.add(threading.current_thread().name))
    written, _, means = _fetch(origin, tmp_path, tick_seconds=tick_seconds)
    assert _is_right(written, content, tmp_path, means)
    assert (threads == {threading.current_thread().name}) is is_alone


def test_a_file_of_unknown_size_arrives(tmp_path: Path) -> None:
    origin = Origin(content_of(1000), has_spans=False, tells_size=False)
    written, _, means = _fetch(origin, tmp_path)
    assert _is_right(written, origin.content, tmp_path, means)


def test_a_broken_transfer_goes_on_where_it_broke(tmp_path: Path) -> None:
    origin = Origin(content_of(1000), breaks=[500, 200, 100])
    written, waits, means = _fetch(origin, tmp_path)
    assert _is_right(written, origin.content, tmp_path, means)
    assert origin.sent_bytes == 1000
    assert origin.asked[1:] == [source.Span(start, 1000) for start in (500, 700, 800)]
    assert waits == sorted(waits)
    assert len(waits) == 3


def test_each_span_goes_on_where_it_broke(tmp_path: Path) -> None:
    mib = 1024**2
    origin = Origin(content_of(3 * SPAN), breaks=[3 * mib, 5 * mib, 7 * mib, 9 * mib])
    written, _, means = _fetch(origin, tmp_path)
    assert _is_right(written, origin.content, tmp_path, means)
    assert origin.sent_bytes == 3 * SPAN


def test_without_a_version_a_broken_transfer_starts_over(tmp_path: Path) -> None:
    origin = Origin(content_of(1000), version=None, has_spans=False, breaks=[500, 200])
    written, waits, means = _fetch(origin, tmp_path)
    assert _is_right(written, origin.content, tmp_path, means)
    assert len(waits) == 2


def test_a_file_that_changes_on_the_way_comes_again_from_its_beginning(tmp_path: Path) -> None:
    origin = Origin(content_of(1000), breaks=[500])

    def change(self: Origin) -> None:
        if len(self.asked) == 1:
            self.content, self.version = content_of(1500), "v2"

    origin.on_open = change
    written, _, means = _fetch(origin, tmp_path)
    assert _is_right(written, content_of(1500), tmp_path, means)


def test_a_file_that_keeps_changing_is_told(tmp_path: Path) -> None:
    origin = Origin(content_of(2 * SPAN))

    def change(self: Origin) -> None:
        self.version = f"v{len(self.asked)}"

    origin.on_open = change
    with pytest.raises(errors.StartFailure, match="was changed while it was fetched") as caught:
        _fetch(origin, tmp_path)
    assert caught.value.reason is errors.Reason.FETCH_FAILED


def test_a_server_that_stops_giving_spans_is_asked_for_the_whole(tmp_path: Path) -> None:
    origin = Origin(content_of(1000), breaks=[500])

    def stop(self: Origin) -> None:
        self.has_spans = not self.asked

    origin.on_open = stop
    written, _, means = _fetch(origin, tmp_path)
    assert _is_right(written, origin.content, tmp_path, means)


def test_patience_ends(tmp_path: Path) -> None:
    origin = Origin(content_of(1000), breaks=[0] * 100)
    with pytest.raises(errors.StartFailure, match="broke"):
        _fetch(origin, tmp_path)
    assert len(origin.asked) == 6


def test_progress_renews_patience(tmp_path: Path) -> None:
    mib = 1024**2
    origin = Origin(content_of(12 * mib), breaks=[mib] * 11)
    written, _, means = _fetch(origin, tmp_path)
    assert _is_right(written, origin.content, tmp_path, means)


@pytest.mark.parametrize("size_bytes", [1000, 3 * SPAN])
def test_what_cannot_pass_ends_the_transfer_at_once(size_bytes: int, tmp_path: Path) -> None:
    origin = Origin(content_of(size_bytes), breaks=[0], reason=errors.Reason.ACCESS_DENIED)
    with pytest.raises(errors.StartFailure) as caught:
        _fetch(origin, tmp_path)
    assert caught.value.reason is errors.Reason.ACCESS_DENIED


def test_a_large_file_is_refused_before_it_comes(tmp_path: Path) -> None:
    origin = Origin(content_of(1000))
    with pytest.raises(errors.StartFailure, match="more than the 999 bytes") as caught:
        _fetch(origin, tmp_path, limit_bytes=999)
    assert caught.value.reason is errors.Reason.ARTIFACT_TOO_LARGE
    assert origin.sent_bytes == 0


class Liar(Origin):
    """Sends other bytes than it announces."""

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        content = super().open_file(file, None)
        return dataclasses.replace(content, size_bytes=500, is_span=False)


@pytest.mark.parametrize(("sent", "words"), [(400, "ended after 400 of 500"), (600, "more bytes than")])
def test_another_length_than_announced_is_a_failed_fetch(sent: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(errors.StartFailure, match=words) as caught:
        _fetch(Liar(content_of(sent), version=None), tmp_path)
    assert caught.value.reason is errors.Reason.FETCH_FAILED


class Endless(Origin):
    """Never ends."""

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        return source.Content(None, iter(lambda: b"x" * 1000, b""))


def test_a_file_of_unknown_size_ends_at_the_limit(tmp_path: Path) -> None:
    with pytest.raises(errors.StartFailure) as caught:
        _fetch(Endless(b""), tmp_path, limit_bytes=10_000)
    assert caught.value.reason is errors.Reason.ARTIFACT_TOO_LARGE
    assert (tmp_path / "m").stat().st_size <= 10_000


def test_a_trickle_is_no_transfer(tmp_path: Path) -> None:
    now = iter(range(0, 1_000_000, 10))
    means = transfer.Means(
        volume.Budget(2**40), progress.Progress("x"), lambda _: None, clock=lambda: float(next(now))
    )
    with pytest.raises(errors.StartFailure, match="too slow"):
        transfer.fetch_file(Endless(b""), FILE, tmp_path / "m", means)


def test_a_full_disk_is_told_before_the_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = Liar(b"", version=None)
    monkeypatch.setattr("os.fstatvfs", lambda _: type("V", (), {"f_bavail": 1, "f_frsize": 499}))
    with pytest.raises(errors.StartFailure, match="has 500 bytes, and the artifact volume has 499 left"):
        _fetch(origin, tmp_path)


def test_a_digest_that_the_place_itself_tells_is_checked(tmp_path: Path) -> None:
    means = transfer.Means(volume.Budget(2**40), progress.Progress("x"), lambda _: None)
    file = source.File("a.txt", 1, "sha256:" + "0" * 64)
    with pytest.raises(errors.StartFailure, match="damaged") as caught:
        transfer.fetch_file(Origin(b"x"), file, tmp_path / "m", means)
    assert caught.value.reason is errors.Reason.FETCH_FAILED
