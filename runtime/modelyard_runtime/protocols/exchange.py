"""What a protocol takes and gives: a request's bytes with its headers, and a response's.

`http.inference` makes a `Message` of each request, hands it to a protocol's `decode` and sends what the `Call` writes.
Pure: types, and the few things that every protocol reads alike.
"""

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models

JSON = b"application/json"
OCTETS = b"application/octet-stream"
CSV = b"text/csv"
NPY = b"application/x-npy"
ARROW = b"application/vnd.apache.arrow.stream"
# Other names under which the same forms are announced.
_ALIASES: Mapping[bytes, bytes] = {b"text/json": JSON, b"application/csv": CSV}

Headers = list[tuple[bytes, bytes]]


class Message(msgspec.Struct, frozen=True):
    """A request: its body as the caller wrote it, uncompressed; headers by lower-case name; the query as sent."""

    body: bytes
    headers: Mapping[bytes, bytes] = {}
    query: bytes = b""

    def parameter(self, name: str) -> str | None:
        """Gives the last value of a query parameter."""
        if not self.query:
            return None
        return dict(urllib.parse.parse_qsl(self.query.decode("latin-1"), keep_blank_values=True)).get(name)


class Response(msgspec.Struct, frozen=True):
    """The body of a successful answer and what its headers say of it."""

    body: bytes
    content_type: bytes = JSON
    headers: Headers = []


class Call(Protocol):
    """A decoded request: what to ask the model, and how to write down its answer."""

    @property
    def request(self) -> models.Request:
        """What is asked of the model."""
        ...

    def encode(self, outputs: models.Tensors) -> Response:
        """Gives the response for the model's outputs."""
        ...


def content_form(message: Message, taken: Sequence[bytes]) -> bytes:
    """Gives the form of the body, one of `taken`: the first where the headers don't say; raises `UnsupportedMedia`."""
    stated = message.headers.get(b"content-type")
    if stated is None or stated == taken[0]:
        return taken[0]
    essence = _essence(stated)
    if essence in taken:
        return essence
    shown = stated[:80].decode("latin-1")
    raise errors.UnsupportedMedia(f"the content type {shown!r} is not taken; send {_listed(taken)}")


def answer_form(message: Message, offered: Sequence[bytes]) -> bytes:
    """Gives the form to answer in, the one of `offered` that the caller likes best; raises `NotAcceptable`."""
    accept = message.headers.get(b"accept")
    if accept is None or accept == b"*/*" or accept == offered[0]:
        return offered[0]
    wishes = _qualities(accept)
    best = max(offered, key=lambda form: _quality(form, wishes))  # the first of equals
    if _quality(best, wishes) > 0:
        return best
    shown = accept[:80].decode("latin-1")
    raise errors.NotAcceptable(f"no answer can be written as {shown!r}; accept {_listed(offered)}")


def _essence(content_type: bytes) -> bytes:
    essence = content_type.partition(b";")[0].strip().lower()
    return _ALIASES.get(essence, essence)


def _qualities(accept: bytes) -> dict[bytes, float]:
    """Gives the weights in an Accept header by media range; what can't be read weighs nothing."""
    found: dict[bytes, float] = {}
    for item in accept.split(b","):
        weight = 1.0
        for parameter in item.split(b";")[1:]:
            name, _, value = parameter.partition(b"=")
            if name.strip().lower() == b"q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        found[_essence(item)] = weight if 0 <= weight <= 1 else 0.0
    return found


def _quality(form: bytes, wishes: Mapping[bytes, float]) -> float:
    for media_range in (form, form.partition(b"/")[0] + b"/*", b"*/*"):
        if media_range in wishes:
            return wishes[media_range]
    return 0.0


def _listed(forms: Sequence[bytes]) -> str:
    names = [form.decode() for form in forms]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
