"""An application that is made when somebody asks it something, in a thread, so that nobody else waits for it.

`http.app` puts the web framework behind it. Requests that come while it is made wait together; everything that doesn't
need it goes on.
"""

import asyncio
import threading
from collections.abc import Callable

from modelyard_runtime.http import asgi


class Later:
    """An ASGI application in the place of the one that `build` will give."""

    def __init__(self, build: Callable[[], asgi.Application]) -> None:
        self._build = build
        self._built: asgi.Application | None = None
        self._building = threading.Lock()

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answers one request, once the application is there."""
        application = self._built
        if application is None:
            application = await asyncio.to_thread(self.build)
        await application(scope, receive, send)

    def build(self) -> asgi.Application:
        """Gives the application, made now where it isn't yet. Blocks."""
        with self._building:
            if self._built is None:
                self._built = self._build()
            return self._built
