"""The way past the web framework for requests that predict: their paths are looked up, not matched.

`http.app` puts it around FastAPI. The routes are FastAPI's own, so that everything it doesn't know exactly (another
method, another model's name, an escaped path) takes the usual way to the same route. Middleware of the framework
doesn't see what comes this way; the guard and the gate are outside and do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import starlette.routing

from modelyard_runtime.http import asgi


class Shortcuts:
    """An ASGI application around the framework's."""

    def __init__(
        self, app: asgi.Application, routes: Sequence[starlette.routing.Route], names: Mapping[str, str]
    ) -> None:
        """Knows the path of every route with the parameters of this process, such as the model's name, filled in."""
        self._app = app
        self.routes: dict[tuple[str, str], tuple[asgi.Application, Mapping[str, Any]]] = {}
        for route in routes:
            parameters = {name: names[name] for name in route.param_convertors}
            path, _ = starlette.routing.replace_params(
                route.path_format, dict(route.param_convertors), dict(parameters)
            )
            for method in route.methods or ():
                self.routes.setdefault((method, path), (route.app, parameters))

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
