"""The short way of a prediction whose request arrived in one piece: no task, no messages, one callback.

`http.connection` asks `find` at the head of each request and starts what it gets; everything else takes the usual way
through `http.guard` and the framework, and gets the same answer: limits, counting and errors are the guard's and the
route's own. It must never take a request that something has to look at first: `http.app` makes it only where neither
token nor certificate is asked for.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from modelyard_runtime import dispatching, errors, service
from modelyard_runtime.formats import model as models
from modelyard_runtime.http import asgi, guard, inference
from modelyard_runtime.protocols import exchange

_log = logging.getLogger(__name__)
# Headers that ask for more than an answer to the body.
_UNUSUAL = frozenset({inference.TIMEOUT_HEADER, b"content-encoding", b"expect"})
# Writes the status, the headers and the body of an answer.
Reply = Callable[[int, asgi.Headers, bytes], None]


class Express:
    """The routes that are answered on the short way."""

    def __init__(
        self,
        guarded: guard.Guard,
        predictor: service.Service,
        routes: Mapping[tuple[str, str], tuple[asgi.Application, Mapping[str, Any]]],
    ) -> None:
        """Knows the routes that predict, of all `routes` by method and path."""
        self._guard = guarded
        self._service = predictor
        self._routes = {
            path: route
            for (method, path), (route, _) in routes.items()
            if method == "POST" and isinstance(route, inference.PredictionRoute)
        }

    def find(self, scope: asgi.Scope) -> inference.PredictionRoute | None:
        """Gives the route for a request whose head is here; None for the usual way."""
        if scope["method"] != "POST":
            return None
        route = self._routes.get(scope["path"])
        if route is None:
            return None
        for name, _ in scope["headers"]:
            if name in _UNUSUAL:
                return None
        return route

    def takes(self, size_bytes: int) -> bool:
        """Says whether a whole body of that size is taken; one that is too large is refused on the usual way."""
        return size_bytes <= self._guard.max_body_bytes

    def start(
        self, route: inference.PredictionRoute, scope: asgi.Scope, body: bytes, reply: Reply
    ) -> "Journey":
        """Begins a request; `reply` is called once, now or on a later turn of the loop, unless it is abandoned."""
        journey = Journey(self._guard, self._service, route, scope, reply)
        journey.begin(body)
        return journey


class Journey:
    """One request on its way: what `dispatching` gives the answer to."""

    __slots__ = (
        "_call", "_guard", "_headers", "_is_over", "_pending", "_reply", "_route", "_scope", "_service", "_started",
    )  # fmt: skip

    def __init__(
        self,
        guarded: guard.Guard,
        predictor: service.Service,
        route: inference.PredictionRoute,
        scope: asgi.Scope,
        reply: Reply,
    ) -> None:
        self._guard = guarded
        self._service = predictor
        self._route = route
        self._scope = scope
        self._reply = reply
        self._headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self._started = guarded.enter(scope)
        self._is_over = False
        self._call: exchange.Call | None = None
        self._pending: dispatching.Pending | None = None

    def begin(self, body: bytes) -> None:
        """Reads the request and brings it to the model, or answers what is wrong with it."""
        try:
            self._call = self._route.decode(body, self._headers, self._scope)
            self._pending = self._service.submit(self._call.request, self)
        except Exception as error:
            self.set_exception(error)

    def done(self) -> bool:
        """Says whether nobody waits for an answer any more."""
        return self._is_over

    def set_result(self, result: models.Tensors, /) -> None:
        """Sends the model's answer."""
        try:
            assert self._call is not None  # noqa: S101 - what has no call was never brought to the model
            answer = self._route.respond(self._call.encode(result), self._headers)
        except Exception as error:
            self.set_exception(error)
        else:
            self._end(*answer)

    def set_exception(self, exception: Exception, /) -> None:
        """Sends the answer that a failure stands for."""
        if not isinstance(exception, errors.RequestError):
            # The outermost loop of a request: whatever went wrong, this one is answered and the next one served.
            _log.error("request failed", exc_info=exception)
        self._end(*inference.failed(self._scope["path"], exception))

    def abandon(self) -> None:
        """Forgets the request: the client is gone."""
        if self._is_over:
            return
        self._is_over = True
        if self._pending is not None:
            self._service.withdraw(self._pending)
            self._pending = None
        self._guard.leave(self._scope, guard.CLIENT_LEFT, self._started)

    def _end(self, status: int, headers: asgi.Headers, body: bytes) -> None:
        if self._is_over:
            return
        self._is_over = True
        # It knows this one: without a ring, what a request took goes with it, and the collector finds nothing to do.
        self._pending = None
        try:
            self._reply(status, self._guard.with_farewell(headers), body)
        finally:
            self._guard.leave(self._scope, status, self._started)
