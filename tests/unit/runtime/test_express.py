"""A prediction on the short way gets the answer of the usual way, to the byte, and is counted the same."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any, cast

import numpy as np
import pytest
import uvicorn
from uvicorn.server import ServerState

from modelyard_runtime import lifecycle, metrics, scheduling, service
from modelyard_runtime.formats import model as models
from modelyard_runtime.http import app, connection, express, guard
from tests.unit.runtime import builders

CHUNKED = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
ROW = b'{"X":[[1,2]]}'
V2 = b'{"inputs":[{"name":"X","shape":[1,2],"datatype":"FP64","data":[1,2]}]}'


class Transport:
    """A client's end of a connection, in memory."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        del name
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Served:
    """An application with a connection to it."""

    def __init__(self, takes_short_way: bool, predict: Callable[[models.Table], Any] | None = None) -> None:
        self.metrics = metrics.Metrics()
        self.service = service.Service("m", self.metrics)
        self.service.enter(lifecycle.Stage.WARMING)
        model = builders.FakeModel(builders.numbers(2), predict)
        self.service.serve(service.Served(model, builders.MANIFEST, scheduling.Cost(0.0, 0.0), 0.1))
        self.guard = app.create_app(self.service, self.metrics, 1000, "0")
        # Made in a thread otherwise, which no number of turns of the loop waits for.
        cast(Any, self.guard)._app._app.build()
        if not takes_short_way:
            self.guard.express = None
        config = uvicorn.Config(self.guard, lifespan="off", log_config=None, server_header=False)
        config.proxy_headers = config.date_header = False
        config.load()
        self.transport = Transport()
        self.connection = connection.BoundedConnection(config, ServerState(), {}, asyncio.get_running_loop())
        self.connection.connection_made(cast(asyncio.Transport, self.transport))

    async def send(self, *parts: bytes) -> bytes:
        """Sends bytes in as many pieces and gives what came back, once nothing more does."""
        for part in parts:
            self.connection.data_received(part)
            await _turns()
        return self.transport.written

    def end(self) -> None:
        self.connection.connection_lost(None)


async def _turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _request(body: bytes, path: str = "/predict", *more: str) -> bytes:
    head = "\r\n".join((f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *more))
    return head.encode() + b"\r\n\r\n" + body


def _refuse(_table: models.Table) -> Any:
    raise ValueError("a detail of the inside")


REQUESTS = {
    "rows": _request(ROW),
    "tensors": _request(V2, "/v2/models/m/infer"),
    "tensors of a version": _request(V2, "/v2/models/m/versions/1/infer"),
    "instances": _request(b'{"instances":[[1,2]]}', "/v1/models/m:predict"),
    "data frame": _request(b'{"inputs":[[1,2]]}', "/invocations"),
    "another model": _request(V2, "/v2/models/n/infer"),
    "no JSON": _request(b"{"),
    "too few features": _request(b'{"X":[[1]]}'),
    "another media type": _request(ROW, "/predict", "Content-Type: image/png"),
    "nothing acceptable": _request(ROW, "/predict", "Accept: image/png"),
    "too large": _request(b" " * 2000),
    "a deadline": _request(ROW, "/predict", "Request-Timeout: 5"),
    "a wrong deadline": _request(ROW, "/predict", "Request-Timeout: soon"),
    "an encoding": _request(ROW, "/predict", "Content-Encoding: br"),
    "not kept": _request(ROW, "/predict", "Connection: close"),
    "nothing there": _request(ROW, "/nothing"),
    "another method": b"GET /predict HTTP/1.1\r\nHost: x\r\n\r\n",
    "in chunks": CHUNKED + b"\r\n\r\nd\r\n" + ROW + b"\r\n0\r\n\r\n",
    "two ahead": _request(ROW) + _request(V2, "/v2/models/m/infer") + _request(b"{"),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("predict", [None, _refuse], ids=["answers", "fails"])
def test_both_ways_give_the_same_answer(name: str, predict: Callable[[models.Table], Any] | None) -> None:
    def run(takes_short_way: bool) -> tuple[bytes, list[str]]:
        async def ask() -> tuple[bytes, list[str]]:
            served = Served(takes_short_way, predict)
            written = await served.send(REQUESTS[name])
            assert served.guard.in_flight == 0
            counted = [
                line for line in served.metrics.render().decode().splitlines() if "requests_total" in line
            ]
            served.end()
            return written, counted

        return asyncio.run(ask())

    assert run(takes_short_way=True) == run(takes_short_way=False)
    assert b"a detail of the inside" not in run(takes_short_way=True)[0]


def _run(
    story: Callable[[Served], Awaitable[None]], predict: Callable[[models.Table], Any] | None = None
) -> None:
    async def tell() -> None:
        served = Served(takes_short_way=True, predict=predict)
        await story(served)
        served.end()

    asyncio.run(tell())


def test_no_task_is_made_for_a_request_that_is_here() -> None:
    async def story(served: Served) -> None:
        before = len(asyncio.all_tasks())
        served.connection.data_received(_request(ROW))
        assert len(asyncio.all_tasks()) == before
        await _turns()
        assert served.transport.written.startswith(b"HTTP/1.1 200 ")

    _run(story)


def test_a_body_in_pieces_takes_the_usual_way() -> None:
    async def story(served: Served) -> None:
        whole = _request(ROW)
        served.connection.data_received(whole[:-3])
        assert served.guard.in_flight == 0
        await _turns()
        assert served.guard.in_flight == 1  # waiting for the rest, with the guard's clock running
        assert (await served.send(whole[-3:])).startswith(b"HTTP/1.1 200 ")

    _run(story)


def test_a_client_that_leaves_is_not_predicted_for() -> None:
    predicted: list[int] = []

    def predict(table: models.Table) -> Any:
        predicted.append(len(table))
        return np.zeros(len(table))

    async def story(served: Served) -> None:
        served.connection.data_received(_request(ROW))
        assert served.guard.in_flight == 1
        served.connection.connection_lost(None)
        await _turns()
        assert (predicted, served.guard.in_flight, served.transport.written) == ([], 0, b"")
        assert f'code="{guard.CLIENT_LEFT}"' in served.metrics.render().decode()

    _run(story, predict)


def test_a_draining_process_says_goodbye() -> None:
    async def story(served: Served) -> None:
        served.service.enter(lifecycle.Stage.DRAINING)
        answer = await served.send(_request(ROW))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        assert served.transport.is_closed

    _run(story)


def test_what_is_not_the_callers_fault_is_told_without_detail(caplog: pytest.LogCaptureFixture) -> None:
    async def story(served: Served) -> None:
        served.service.submit = None  # type: ignore[method-assign, assignment]
        answer = await served.send(_request(ROW))
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert answer.endswith(b'{"error":"internal error"}')

    _run(story)
    assert "request failed" in caplog.text


@pytest.mark.parametrize("body", [ROW, b'{"X":[[1]]}'], ids=["answered", "refused"])
def test_a_request_leaves_nothing_for_the_garbage_collector(body: bytes) -> None:
    async def story(served: Served) -> None:
        gc.collect()
        gc.disable()
        try:
            await served.send(*[_request(body)] * 20)
            left = [one for one in gc.get_objects() if isinstance(one, express.Journey)]
        finally:
            gc.enable()
        assert not left

    _run(story)


class _Clock:
    """An event loop whose time passes when a test says so; it runs one timer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self._loop = loop

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        self.timers.append((self.now + seconds, callback))
        return self._loop.call_later(3600, callback)

    def pass_until(self, moment: float) -> None:
        """Lets time pass and runs what is due."""
        self.now = moment
        due = [callback for at, callback in self.timers if at <= moment]
        self.timers = [timer for timer in self.timers if timer[0] > moment]
        for callback in due:
            callback()


def test_a_connection_without_requests_is_closed_when_its_time_is_over() -> None:
    async def story(served: Served) -> None:
        one = served.connection
        one.timeout_keep_alive = 75
        one.loop = clock = _Clock(asyncio.get_running_loop())  # type: ignore[assignment]
        await served.send(_request(ROW))
        clock.now = 60.0
        await served.send(_request(ROW))
        assert len(clock.timers) == 1  # not one for each request
        clock.pass_until(75.0)
        assert not served.transport.is_closed
        clock.pass_until(134.9)
        assert not served.transport.is_closed
        clock.pass_until(135.0)
        assert served.transport.is_closed

    _run(story)


def test_a_connection_that_is_being_answered_is_not_closed_for_idling() -> None:
    async def story(served: Served) -> None:
        one = served.connection
        one.timeout_keep_alive = 75
        one.loop = clock = _Clock(asyncio.get_running_loop())  # type: ignore[assignment]
        await served.send(_request(ROW))
        one.data_received(_request(ROW))  # and no turn of the loop, so no answer
        clock.pass_until(75.0)
        assert not served.transport.is_closed
        await _turns()
        assert served.transport.written.count(b"HTTP/1.1 200 ") == 2
        clock.pass_until(150.0)
        assert served.transport.is_closed

    _run(story)
