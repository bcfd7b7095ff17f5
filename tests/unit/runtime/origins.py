"""A source that breaks, changes and lies on request, for the tests of transfers and downloads."""

import dataclasses
import random
import threading
from collections.abc import Callable, Iterator

from modelyard_runtime import errors
from modelyard_runtime.artifact import source, transfer

FILE = source.File("", None)
SPAN = transfer.SPAN_BYTES


@dataclasses.dataclass
class Origin:
    """A source that breaks, changes and lies on request.

    Attributes:
        content: what it holds.
        version: which version it says that is; None says nothing.
        has_spans: whether it gives spans.
        tells_size: whether it says how long the file is.
        breaks: after how many bytes each of the next answers ends with an error.
        asked: the spans it was asked for.
        sent_bytes: what it has sent, in all.
    """

    content: bytes
    version: str | None = "v1"
    has_spans: bool = True
    tells_size: bool = True
    breaks: list[int] = dataclasses.field(default_factory=list)
    reason: errors.Reason = errors.Reason.FETCH_FAILED
    asked: list[source.Span | None] = dataclasses.field(default_factory=list)
    sent_bytes: int = 0
    on_open: Callable[["Origin"], None] = lambda _: None
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def list_files(self) -> source.Listing:
        return source.Listing(False, (FILE,))

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        with self.lock:
            self.on_open(self)
            self.asked.append(span)
            breaks = self.breaks.pop(0) if self.breaks else None
        is_span = self.has_spans and span is not None
        part = self.content[span.start : span.end] if span is not None and is_span else self.content
        size_bytes = len(self.content) if self.tells_size else None
        return source.Content(size_bytes, self._chunks(part, breaks), self.version, is_span)

    def _chunks(self, part: bytes, breaks: int | None) -> Iterator[bytes]:
        step = 1024**2 if len(part) > 2**20 else 100
        for start in range(0, len(part), step):
            if breaks is not None and start >= breaks:
                raise errors.StartFailure(self.reason, "the connection broke")
            chunk = part[start : start + step]
            with self.lock:
                self.sent_bytes += len(chunk)
            yield chunk


def content_of(size_bytes: int) -> bytes:
    """As many bytes, always the same."""
    return random.Random(size_bytes).randbytes(size_bytes)
