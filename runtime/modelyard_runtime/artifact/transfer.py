"""One file from a source to disk: in parallel spans where the source has them, hashed on the way, bounded, resumed.

Called by `artifact.download`. A transfer that breaks goes on where it broke, as long as the source says that the file
is the same version; otherwise the file comes again from its beginning. What a failed transfer leaves is in the staging
folder, which nobody reads.
"""

import concurrent.futures
import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.artifact import following, progress, retrying, source, volume

SPAN_BYTES = 32 * 1024**2  # much larger than what a request costs, small enough to spread
_FAST_BYTES_PER_SECOND = 200 * 1024**2  # the processor is the limit then, and connections only compete for it
_WINDOW_BYTES = 256 * 1024**2  # how far a transfer may be ahead of its hash: recent bytes are still in memory
_RENEWING_BYTES = 1024**2  # whoever brings as much has not failed, only broken off
# What waits this long in all for so few bytes is no transfer any more (1 KiB/s).
_SLOW_SECONDS, _SLOW_BYTES = 60.0, 60 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """What one transfer left on disk."""

    digest: str
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Means:
    """What the transfers of one artifact share."""

    budget: volume.Budget
    progress: progress.Progress
    sleep: retrying.Sleep = time.sleep
    clock: Callable[[], float] = time.monotonic


def fetch_file(
    origin: source.Source, file: source.File, target: Path, means: Means, connections: int = 1
) -> Written:
    """Writes one file and gives its digest and size.

    Raises `StartFailure`: ArtifactTooLarge past the budget or on a full disk, and whatever the source raises.
    """
    patience = retrying.Patience(means.sleep)
    while True:
        with _opened(target) as descriptor:
            transfer = _Transfer(origin, file, descriptor, means)
            try:
                return _check_digest(file, transfer.run(connections))
            except _Again as again:
                transfer.take_back()
                patience.wait_after(again.failure)


@contextlib.contextmanager
def _opened(target: Path) -> Iterator[int]:
    try:
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise volume.disk_failure(error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _check_digest(file: source.File, written: Written) -> Written:
    if file.digest is not None and written.digest != file.digest:
        raise _Again(
            f"{file.path or 'the file'} arrived with the digest {written.digest}, but where it comes from lists it with"
            f" {file.digest}: it is damaged there or was on the way; publish it again if that stays so",
        )
    return written


class _Again(Exception):  # noqa: N818 - named for what it means
    """The whole file must come again."""

    def __init__(self, problem: str | errors.StartFailure) -> None:
        super().__init__(problem)
        self.failure = (
            errors.StartFailure(errors.Reason.FETCH_FAILED, problem) if isinstance(problem, str) else problem
        )


class _Stopped(Exception):  # noqa: N818 - named for what it means
    """Another span of the file has failed."""


@dataclasses.dataclass(slots=True)
class _Piece:
    start: int
    end: int | None
    done: int = 0
    content: source.Content | None = None

    @property
    def is_whole(self) -> bool:
        return self.end is not None and self.start + self.done == self.end


class _Transfer:
    """One attempt at one file."""

    def __init__(self, origin: source.Source, file: source.File, descriptor: int, means: Means) -> None:
        self._origin = origin
        self._file = file
        self._descriptor = descriptor
        self._means = means
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._follower = following.Follower(descriptor)
        self._pieces: list[_Piece] = []
        self._waiting: Iterator[_Piece] = iter(())
        self._first_open = 0
        self._version: str | None = None
        self._size_bytes: int | None = None

    def run(self, connections: int) -> Written:
        try:
            self._pieces = self._plan()
            self._waiting = iter(self._pieces)
            self._run_pieces(min(connections, len(self._pieces)))
            return Written(self._finish(), sum(piece.done for piece in self._pieces))
        finally:
            self._follower.stop()

    def _finish(self) -> str:
        try:
            return self._follower.finish()
        except OSError as error:
            raise volume.disk_failure(error) from error

    def take_back(self) -> None:
        """Uncounts what has arrived: it has to come again."""
        arrived = sum(piece.done for piece in self._pieces)
        self._means.budget.give_back(arrived)
        self._means.progress.take_back(arrived)

    def _plan(self) -> list[_Piece]:
        """Opens the file and gives the pieces it comes in, the first with its content."""
        try:
            content = self._origin.open_file(self._file, source.Span(0, SPAN_BYTES))
            if content.is_span and (content.version is None or content.size_bytes is None):
                # Nothing would tell whether two spans are of the same file.
                _close(content)
                content = self._origin.open_file(self._file)
        except errors.StartFailure as failure:
            raise _Again(failure) from failure
        self._version, self._size_bytes = content.version, content.size_bytes
        if content.size_bytes is None:
            return [_Piece(0, None, content=content)]
        self._check_room(content)
        step = SPAN_BYTES if content.is_span else max(content.size_bytes, 1)
        starts = range(0, max(content.size_bytes, 1), step)
        pieces = [_Piece(start, min(start + step, content.size_bytes)) for start in starts]
        pieces[0].content = content
        return pieces

    def _check_room(self, content: source.Content) -> None:
        size_bytes = content.size_bytes or 0
        if self._means.progress.total_bytes is None:
            self._means.progress.total_bytes = size_bytes
        volume.check_size(size_bytes, self._means.budget.limit_bytes)
        volume.check_space(self._descriptor, size_bytes)

    def _run_pieces(self, connections: int) -> None:
        """Runs the pieces over one connection as long as that is fast, else over several."""
        while (piece := self._next()) is not None:
            started_at = self._means.clock()
            self._run_piece(piece)
            seconds = self._means.clock() - started_at
            if connections > 1 and piece.done < _FAST_BYTES_PER_SECOND * seconds:
                self._run_side_by_side(connections)

    def _run_side_by_side(self, connections: int) -> None:
        with concurrent.futures.ThreadPoolExecutor(connections, "transfer") as pool:
            tasks = [pool.submit(self._work) for _ in range(connections)]
            try:
                for task in concurrent.futures.as_completed(tasks):
                    task.result()
            finally:
                self._stop.set()

    def _work(self) -> None:
        while (piece := self._next()) is not None:
            self._run_piece(piece)

    def _next(self) -> _Piece | None:
        """Gives a piece that nobody has begun, once the hash is not too far behind it."""
        with self._lock:
            piece = next(self._waiting, None)
        if piece is not None:
            self._follower.wait_for(piece.start, _WINDOW_BYTES)
        return piece

    def _run_piece(self, piece: _Piece) -> None:
        patience = retrying.Patience(self._means.sleep)
        while True:
            done_before = piece.done
            try:
                content, piece.content = piece.content or self._open(piece), None
                with _closing(content):
                    self._copy(content, piece)
                return
            except errors.StartFailure as failure:
                if self._version is None and failure.reason.is_retryable:
                    raise _Again(failure) from failure
                if piece.done - done_before >= _RENEWING_BYTES:
                    patience.renew()
                patience.wait_after(failure)

    def _open(self, piece: _Piece) -> source.Content:
        content = self._origin.open_file(self._file, source.Span(piece.start + piece.done, piece.end))
        is_same = content.version == self._version and self._size_bytes in (None, content.size_bytes)
        if is_same and content.is_span:
            return content
        _close(content)
        raise _Again(
            "the transfer can't go on where it broke: the server sends the file from its beginning"
            if is_same
            else "the file was changed while it was fetched; publish a new version under a name of its own"
        )

    def _copy(self, content: source.Content, piece: _Piece) -> None:
        for chunk in _watch(content.chunks, self._means.clock):
            if self._stop.is_set():
                raise _Stopped
            view = memoryview(chunk).cast("B")
            if piece.end is not None and piece.start + piece.done + view.nbytes > piece.end:
                raise _Again("the server sent more bytes than it had announced")
            self._means.budget.take(view.nbytes)
            self._write(view, piece)
            self._means.progress.add(view.nbytes)
        if piece.end is None or piece.is_whole:
            return
        raise errors.StartFailure(
            errors.Reason.FETCH_FAILED,
            f"the transfer ended after {piece.start + piece.done} of {self._size_bytes} bytes",
        )

    def _write(self, view: memoryview, piece: _Piece) -> None:
        offset, left = piece.start + piece.done, view
        try:
            while left:
                written = os.pwrite(self._descriptor, left, offset)
                offset, left = offset + written, left[written:]
        except OSError as error:
            raise volume.disk_failure(error) from error
        with self._lock:
            piece.done += view.nbytes
            while self._first_open + 1 < len(self._pieces) and self._pieces[self._first_open].is_whole:
                self._first_open += 1
            first = self._pieces[self._first_open]
            whole = first.start + first.done
        self._follower.advance(whole)


def _watch(chunks: Iterator[bytes], clock: Callable[[], float]) -> Iterator[bytes]:
    """Gives the chunks; fails when next to nothing arrives for a long time, however regularly."""
    waited, arrived = 0.0, 0
    while True:
        asked_at = clock()
        chunk = next(chunks, None)
        if chunk is None:
            return
        waited += clock() - asked_at
        arrived += memoryview(chunk).nbytes
        if waited >= _SLOW_SECONDS:
            if arrived < _SLOW_BYTES:
                raise errors.StartFailure(
                    errors.Reason.FETCH_FAILED,
                    f"the transfer is too slow: {arrived} bytes in {waited:.0f} seconds",
                )
            waited, arrived = 0.0, 0
        yield chunk


@contextlib.contextmanager
def _closing(content: source.Content) -> Iterator[None]:
    try:
        yield
    finally:
        _close(content)


def _close(content: source.Content) -> None:
    """Ends a request whose bytes nobody wants any more."""
    if isinstance(content.chunks, Generator):
        content.chunks.close()
