"""The few ASGI pieces that the plain callables share: types, reading a body, sending JSON.

Used by `http.guard`, `http.inference` and `http.routes`. It knows no models.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
CLOSE = (b"connection", b"close")
# A response in one message, which `http.guard` understands from everything within it.
WHOLE = "modelyard.response"
# Set on the scope by `http.connection`: the body arrived with the head, so nobody has to wait for it.
COMPLETE = "modelyard.complete"
# Set on the scope by `http.connection`: the client went away, so that the task was cancelled.
GONE = "modelyard.gone"
# Set on the scope by `http.connection`: writes a response in one piece.
ANSWER = "modelyard.answer"
# Gives False where the usual messages have to do it.
Answer = Callable[[int, Headers, bytes], bool]


class Disconnected(Exception):  # noqa: N818 - named for what it means
    """The client went away before its request was complete."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """Gives the first header of that (lower-case) name."""
    for key, value in scope["headers"]:
        if key == name:
            result: bytes = value
            return result
    return None


async def read_body(receive: Receive) -> bytes:
    """Gives the whole body; the guard around `receive` bounds size and time."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return first
    chunks = [first]
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunks.append(message.get("body", b""))
    return b"".join(chunks)


async def send_bytes(
    send: Send, status: int, body: bytes, content_type: bytes, headers: Headers | None = None
) -> None:
    """Sends a whole response through the guard."""
    await send_whole(send, status, headers_of(body, content_type, headers), body)


async def send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Sends a response whose headers are complete through the guard."""
    await send({"type": WHOLE, "status": status, "headers": headers, "body": body})


def headers_of(body: bytes, content_type: bytes, more: Headers | None = None) -> Headers:
    """Gives the headers of a whole response."""
    return [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *(more or ())]


async def send_json(send: Send, status: int, body: bytes, headers: Headers | None = None) -> None:
    """Sends a whole JSON response."""
    await send_bytes(send, status, body, b"application/json", headers)
