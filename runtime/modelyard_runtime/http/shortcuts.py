"""The way past the web framework for predictions and what machines ask: their paths are looked up, not matched.

`http.app` puts it around FastAPI, which has the same routes, so that everything that isn't known exactly here (another
method, another model's name, an escaped path) takes the usual way to the same answer. Middleware of the framework
doesn't see what comes this way; the guard and the gate are outside and do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard_runtime.http import asgi, routes


class Shortcuts:
    """An ASGI application around the framework's."""

    def __init__(
        self, app: asgi.Application, known: Sequence[routes.Route], names: Mapping[str, str]
    ) -> None:
        """Knows the path of every route with the parameters of this process, such as the model's name, filled in."""
        self._app = app
        self.routes: dict[tuple[str, str], tuple[asgi.Application, Mapping[str, Any]]] = {}
        for method, template, application in known:
            path, parameters = template, {}
            for name, value in names.items():
                if f"{{{name}}}" in path:
                    path = path.replace(f"{{{name}}}", value)
                    parameters[name] = value
            self.routes.setdefault((method, path), (application, parameters))

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answers one request, or lets the framework do it."""
        if scope["type"] == "http":
            found = self.routes.get((scope["method"], scope["path"]))
            if found is not None:
                application, parameters = found
                scope["path_params"] = dict(parameters)
                await application(scope, receive, send)
                return
        await self._app(scope, receive, send)
