"""The limit: an ASGI application that reads the body and answers the right answer without any thought.

`runtime_servers` runs it on uvicorn with uvloop and httptools. What it takes is what uvicorn itself costs; no server
that runs on uvicorn can be faster.
"""

import os
from pathlib import Path
from typing import Any

ANSWER = Path(os.environ["BENCH_ANSWER"]).read_bytes()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers one request."""
    del scope
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})
