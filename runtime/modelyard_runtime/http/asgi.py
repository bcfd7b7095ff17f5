"""The few ASGI pieces that the plain callables share: types, reading a body, sending JSON.

Used by `http.guard`, `http.inference` and `http.health`. It knows no models.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


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
    """Sends a whole response."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", str(len(body)).encode()),
                *(headers or ()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, status: int, body: bytes, headers: Headers | None = None) -> None:
    """Sends a whole JSON response."""
    await send_bytes(send, status, body, b"application/json", headers)
