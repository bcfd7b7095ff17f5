"""What one request costs within the serving process: `python -m bench.runtime_in_process`.

For whoever works on the hot path, beside `runtime_hot_path`, whose figures have the kernel and the machine's mood in
them. Here connections are in memory: bytes go into the real protocol class, through parser, guard, decoder, dispatcher,
model and encoder, and come out as bytes. Each figure is processor time in microseconds for each request, the best of
several rounds, once with a single request in a turn of the event loop and once with sixteen.
"""

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop
from uvicorn.server import ServerState

from bench import runtime_hot_path
from modelyard_runtime import loading, metrics, service, settings
from modelyard_runtime.http import app, connection

_REQUESTS = {"/predict": runtime_hot_path.PREDICT, "/v2/models/m/infer": runtime_hot_path.V2}
_LINES = (
    "POST {path} HTTP/1.1",
    "Host: localhost:8080",
    "Content-Type: application/json",
    "Content-Length: {size}",
)
_HEAD = "\r\n".join((*_LINES, "", ""))
_TURNS = (1, 16)
_ROUNDS = 15
_ROUND_SECONDS = 0.1


class _Client:
    """A client's end of a connection, in memory: what `connection` takes for a transport."""

    def __init__(self) -> None:
        self.answers = 0
        self.last = b""

    def write(self, data: bytes) -> None:
        self.answers += 1
        self.last = data

    def close(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        del name
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def main() -> None:
    """Measure and print one line for each model, engine and route."""
    parser = argparse.ArgumentParser(description="Time per request within the serving process.")
    parser.add_argument(
        "--models", nargs="*", default=list(runtime_hot_path.MODELS), choices=list(runtime_hot_path.MODELS)
    )
    options = parser.parse_args()
    titles = "".join(f"{f'{count} in a turn':>16}" for count in _TURNS)
    print(f"{'µs of processor time for each request':48}{titles}")
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            environ = runtime_hot_path.fetched(runtime_hot_path.MODELS[name](), Path(folder))
            subprocess.run([runtime_hot_path.RUNTIME, "prepare"], check=True, env=environ)
            for acceleration in ("Auto", "Off"):
                uvloop.run(_measure(name, {**environ, "MODELYARD_ACCELERATE": acceleration}))


async def _measure(title: str, environ: Mapping[str, str]) -> None:
    options = settings.serve_settings(environ)
    counters = metrics.Metrics()
    inference = service.Service(options.model_name, counters)
    served = loading.load(options, inference.enter)
    inference.serve(served)
    guarded = app.create_app(inference, counters, options.max_body_bytes, "0")
    config = uvicorn.Config(
        guarded, lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False
    )
    config.load()
    for path, body in _REQUESTS.items():
        request = (_HEAD.format(path=path, size=len(body)) + body).encode()
        figures = [await _best(config, request, count) for count in _TURNS]
        line = f"{title}, {served.model.engine}, {path}"
        print(f"{line:48}" + "".join(f"{figure:16.1f}" for figure in figures), flush=True)


async def _best(config: uvicorn.Config, request: bytes, count: int) -> float:
    """Give the microseconds of one request when `count` connections send one in each turn of the loop."""
    state = ServerState()
    state.default_headers = [(b"date", b"Tue, 24 Nov 2026 12:00:00 GMT")]
    loop = asyncio.get_running_loop()
    clients = [_Client() for _ in range(count)]
    connections = [connection.BoundedConnection(config, state, {}, loop) for _ in clients]
    for one, client in zip(connections, clients, strict=True):
        one.connection_made(cast(asyncio.Transport, client))
    best = float("inf")
    for _ in range(_ROUNDS):
        answered, started = 0, time.process_time()
        while time.process_time() - started < _ROUND_SECONDS:
            for one in connections:
                one.data_received(request)
            answered += count
            await _answers(clients, answered)
        best = min(best, (time.process_time() - started) / answered)
        for client in clients:
            client.answers = 0
    if not clients[0].last.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"not a success: {clients[0].last!r}")
    for one in connections:
        one.connection_lost(None)
    return best * 1e6


async def _answers(clients: list[_Client], expected: int) -> None:
    """Let the loop turn until every request has its answer."""
    each = expected // len(clients)
    while any(client.answers < each for client in clients):  # noqa: ASYNC110 - turns are what is measured
        await asyncio.sleep(0)


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
