"""Slow models, slow clients, full queues and the way out: the process keeps its promises under pressure."""

import concurrent.futures
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from tests.integration.runtime import processes
from tests.support import waiting

LINE = LinearRegression().fit(np.arange(10.0).reshape(-1, 1), 2 * np.arange(10.0) + 1)


def _slow_model() -> tuple[Any, list[list[float]]]:
    """A model and rows that take about a second to predict on one core."""
    random = np.random.default_rng(0)
    x = random.normal(size=(20_000, 30))
    estimator = KNeighborsRegressor(5, algorithm="brute").fit(x, x[:, 0])
    rows = random.normal(size=(400, 30))
    seconds = max(processes.seconds_of(lambda: estimator.predict(rows)), 1e-3)
    return estimator, np.tile(rows, (max(1, min(20, round(1.0 / seconds))), 1)).round(3).tolist()


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[processes.Serving, list[list[float]]]]:
    """A server whose predictions take long, and rows for it."""
    estimator, rows = _slow_model()
    with processes.serving(tmp_path_factory.mktemp("slow"), estimator) as server:
        yield server, rows


def _health_does_not_wait(delays: list[float], took_seconds: float) -> None:
    """Health answered beside the work, not behind it; a share of the work's own time holds on any machine."""
    assert len(delays) >= 10
    delays.sort()
    assert delays[len(delays) // 2] < took_seconds / 20
    assert delays[len(delays) * 9 // 10] < took_seconds / 8


def test_health_answers_while_the_model_computes(
    slow: tuple[processes.Serving, list[list[float]]],
) -> None:
    server, rows = slow
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        started = time.perf_counter()
        predicting = [pool.submit(server.predict, rows) for _ in range(2)]
        delays = []
        while not all(one.done() for one in predicting):
            delays.append(processes.seconds_of(lambda: server.client.get("/livez")))
            time.sleep(0.01)
        took_seconds = time.perf_counter() - started
        assert all(len(one.result()) == len(rows) for one in predicting)
    _health_does_not_wait(delays, took_seconds)


def _open(server: processes.Serving, content: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(content)
    return connection


def test_slow_clients_are_shown_the_door(tmp_path: Path) -> None:
    half_head = b"POST /predict HTTP/1.1\r\nhost: x\r\n"
    half_body = half_head + b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    with processes.serving(tmp_path, LINE) as server, contextlib.ExitStack() as clients:
        heads = [clients.enter_context(_open(server, content)) for content in (b"", b"G", half_head)]
        bodies = [clients.enter_context(_open(server, half_body)) for _ in range(3)]
        started = time.monotonic()
        for connection in heads:
            assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert 9 < time.monotonic() - started < 12
        for connection in bodies:
            assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert 14 < time.monotonic() - started < 18
        assert server.predict([1]) == pytest.approx([3.0])


NO_REQUESTS: dict[str, tuple[bytes, bytes]] = {
    "a head of a megabyte": (b"GET /livez HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 1024 * 1024, b"HTTP/1.1 431 "),
    "a head of a thousand lines": (
        b"GET /livez HTTP/1.1\r\nhost: x\r\n" + b"x-header: some value, not so short\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 431 ",
    ),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HTTP/1.1 400 "),
    "a length and chunks": (
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 400 ",
    ),
    "a length that is no number": (
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: five\r\n\r\n12345", b"HTTP/1.1 400 ",
    ),
}  # fmt: skip


def _all(connection: socket.socket) -> bytes:
    """Everything until the end, which is a reset when the server left some of the request unread."""
    answer = b""
    try:
        while part := connection.recv(65536):
            answer += part
    except ConnectionResetError:
        pass
    return answer


def test_what_is_no_request_is_refused_and_closed(tmp_path: Path) -> None:
    with processes.serving(tmp_path, LINE) as server:
        for case, (content, expected) in NO_REQUESTS.items():
            with _open(server, content) as connection:
                answer = _all(connection)
            assert answer.startswith(expected), case
            assert b'{"error":' in answer, case
        assert server.predict([1]) == pytest.approx([3.0])


def test_idle_connections_make_room_for_others(tmp_path: Path) -> None:
    with processes.serving(tmp_path, LINE) as server, contextlib.ExitStack() as idle:
        for _ in range(1100):
            connection = idle.enter_context(_open(server, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"))
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        with httpx.Client(base_url=server.url) as fresh:
            assert fresh.get("/readyz").status_code == 200


def test_a_crowd_that_says_nothing_keeps_nobody_out(tmp_path: Path) -> None:
    with processes.serving(tmp_path, LINE) as server, contextlib.ExitStack() as silent:
        for _ in range(1100):
            silent.enter_context(_open(server, b""))
        with httpx.Client(base_url=server.url) as fresh:
            assert fresh.get("/readyz").status_code == 200
            assert fresh.post("/predict", json={"X": [1]}).status_code == 200


class Load:
    """Clients that predict without pause until told to stop, and count what they get."""

    def __init__(self, server: processes.Serving, keeps_connection: bool) -> None:
        self._server = server
        self._keeps_connection = keeps_connection
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]
        self.answered = 0
        self.failures: list[str] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=1 if self._keeps_connection else 0)
        client = httpx.Client(base_url=self._server.url, timeout=10, limits=limits)
        while not self._stop.is_set():
            try:
                answer = client.post("/predict", json={"X": [1]})
            except httpx.HTTPError as error:
                self.failures.append(repr(error))
                continue
            if answer.status_code == 200:
                self.answered += 1
            else:
                self.failures.append(answer.text)
        client.close()


@pytest.mark.parametrize("keeps_connection", [True, False])
def test_sigterm_loses_no_request_while_endpoints_lag(tmp_path: Path, keeps_connection: bool) -> None:
    with processes.serving(tmp_path, LINE, DRAIN_SECONDS="20") as server:
        with Load(server, keeps_connection) as load:
            waiting.eventually(lambda: load.answered > 50, "load runs", 10, 0.05)
            server.process.send_signal(signal.SIGTERM)
            server.wait_until("/readyz", 503)
            before = load.answered
            # Traffic that still comes is still answered.
            waiting.eventually(
                lambda: load.answered > before + 200, "load is answered while draining", 10, 0.05
            )
            assert server.process.poll() is None
        ended = server.wait(60)
        assert load.failures == []
        assert (ended.exit_code, ended.termination) == (0, None)


def test_while_draining_connections_are_asked_to_close(tmp_path: Path) -> None:
    with processes.serving(tmp_path, LINE, DRAIN_SECONDS="20") as server:
        assert "connection" not in server.client.post("/predict", json={"X": [1]}).headers
        server.process.send_signal(signal.SIGTERM)
        server.wait_until("/readyz", 503)
        assert server.client.post("/predict", json={"X": [1]}).headers["connection"] == "close"
        assert processes.seconds_of(lambda: server.wait(60)) > 4  # the quiet period
        assert server.process.returncode == 0


def test_a_request_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    estimator, rows = _slow_model()
    with (
        processes.serving(tmp_path, estimator, DRAIN_SECONDS="60") as server,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        predicting = pool.submit(server.predict, rows)
        waiting.eventually(lambda: _in_flight(server) == 1, "the request is under way", 10, 0.01)
        server.process.send_signal(signal.SIGTERM)
        assert len(predicting.result()) == len(rows)
        assert server.wait(60).exit_code == 0


def _in_flight(server: processes.Serving) -> float:
    text = server.client.get("/metrics").text
    return float(
        next(line for line in text.splitlines() if line.startswith("modelyard_requests_in_flight ")).split()[
            1
        ]
    )


def test_a_client_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with processes.serving(tmp_path, LINE, DRAIN_SECONDS="2") as server, contextlib.ExitStack() as clients:
        half = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
        hanging = clients.enter_context(_open(server, half))
        waiting.eventually(lambda: _in_flight(server) == 1, "the request is under way", 10, 0.01)
        server.process.send_signal(signal.SIGTERM)
        seconds = processes.seconds_of(lambda: server.wait(30))
        assert server.process.returncode == 0
        assert seconds < 12  # two of drain, two for last writes; the client would hang for ever
        assert hanging.recv(4096).startswith(b"HTTP/1.1 503 ")


def test_a_second_signal_ends_the_drain(tmp_path: Path) -> None:
    with processes.serving(tmp_path, LINE, DRAIN_SECONDS="60") as server:
        server.process.send_signal(signal.SIGTERM)
        server.wait_until("/readyz", 503)
        server.process.send_signal(signal.SIGTERM)
        assert processes.seconds_of(lambda: server.wait(50)) < 20  # of the 60 that the drain may take
        assert server.process.returncode == 0
