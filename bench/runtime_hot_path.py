"""What one request costs the server in processor time: `python -m bench.runtime_hot_path`.

For whoever works on the hot path; the comparison with other servers is elsewhere. Throughput changes with whatever else
the machine does, the processor time of the server's processes per answered request hardly does: so that is what it
prints, for a constant answer under the same HTTP server (the limit), a model that costs nothing, and scikit-learn.
"""

import argparse
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn import datasets, ensemble, linear_model, pipeline, preprocessing

_TICKS = os.sysconf("SC_CLK_TCK")
_SCRIPT = """
wrk.method = "POST"
wrk.path = "{path}"
wrk.body = '{body}'
wrk.headers["content-type"] = "application/json"
"""
_IRIS = datasets.load_iris()
V2 = '{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP64","data":[5.1,3.5,1.4,0.2]}]}'
PREDICT = '{"X":[[5.1,3.5,1.4,0.2]]}'
RUNTIME = Path(sys.executable).parent / "modelyard-runtime"
_CONSTANT = "bench.peers.constant_app:app"


def _pipeline() -> Any:
    steps = preprocessing.StandardScaler(), linear_model.LogisticRegression()
    return pipeline.make_pipeline(*steps).fit(_IRIS.data, _IRIS.target)


def _line() -> Any:
    return linear_model.LinearRegression().fit(_IRIS.data, _IRIS.target)


def _forest() -> Any:
    return ensemble.RandomForestClassifier(100, random_state=0).fit(_IRIS.data, _IRIS.target)


MODELS: dict[str, Callable[[], Any]] = {"pipeline": _pipeline, "line": _line, "forest": _forest}


def main() -> None:
    """Measure and print one line for each combination."""
    parser = argparse.ArgumentParser(description="Processor time per request of the runtime's hot path.")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--connections", nargs="*", type=int, default=[1, 16, 64])
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    print(
        f"{'server':28} {'connections':>11} {'µs CPU/request':>14} {'requests/s':>10} {'p50 ms':>7} {'p99 ms':>7}"
    )
    with _constant() as (port, process):
        _report("constant answer", port, process, "/predict", PREDICT, options)
    for name in options.models:
        with (
            tempfile.TemporaryDirectory() as folder,
            _serving(MODELS[name](), Path(folder)) as (port, process),
        ):
            _report(f"{name}, /predict", port, process, "/predict", PREDICT, options)
            _report(f"{name}, V2", port, process, "/v2/models/m/infer", V2, options)


def _report(title: str, port: int, pid: int, path: str, body: str, options: argparse.Namespace) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT.format(path=path, body=body))
        script.flush()
        for connections in options.connections:
            _drive(port, script.name, connections, 1)
            before, started = _cpu_seconds(pid), time.perf_counter()
            told = _drive(port, script.name, connections, options.seconds)
            seconds, cpu = time.perf_counter() - started, _cpu_seconds(pid) - before
            answered = int(_found(r"(\d+) requests in", told))
            if "Non-2xx" in told:
                raise SystemExit(f"{title}: not every answer was a success\n{told}")
            p50, p99 = (_milliseconds(_found(rf"{share}%\s+(\S+)", told)) for share in (50, 99))
            figures = f"{cpu / answered * 1e6:14.0f} {answered / seconds:10.0f} {p50:7.2f} {p99:7.2f}"
            print(f"{title:28} {connections:11} {figures}", flush=True)


def _drive(port: int, script: str, connections: int, seconds: int) -> str:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script]
    return subprocess.run(
        ["taskset", "-c", "1", *command, f"http://127.0.0.1:{port}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"wrk did not say {pattern}:\n{text}")
    return match[1]


def _milliseconds(text: str) -> float:
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("s", 1000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise SystemExit(f"not a time: {text}")


def _cpu_seconds(pid: int) -> float:
    """Give the processor time of a process and its children."""
    total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if pid in (int(folder.name), int(fields[1])):
                total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


@contextlib.contextmanager
def _constant() -> Iterator[tuple[int, int]]:
    options = [
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--no-server-header",
        "--lifespan",
        "off",
    ]
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", _CONSTANT, "--port", str(port), *options]
    with tempfile.NamedTemporaryFile("w") as answer:
        answer.write('{"y_pred":[0]}')
        answer.flush()
        with _process(command, port, {**os.environ, "BENCH_ANSWER": answer.name}) as pid:
            yield port, pid


@contextlib.contextmanager
def _serving(estimator: Any, folder: Path) -> Iterator[tuple[int, int]]:
    port = _free_port()
    environ = {**fetched(estimator, folder), "MODELYARD_PORT": str(port)}
    with _process([str(RUNTIME), "serve"], port, environ) as pid:
        yield port, pid


def fetched(estimator: Any, folder: Path) -> dict[str, str]:
    """Bring an estimator to where the runtime serves it from; give the environment to serve it in."""
    joblib.dump(estimator, folder / "model.joblib")
    settings = {
        "MODELYARD_ARTIFACT_DIR": str(folder / "artifact"),
        "MODELYARD_TERMINATION_MESSAGE_PATH": str(folder / "termination"),
        "MODELYARD_MODEL_URI": f"file://{folder}/model.joblib",
        "MODELYARD_FILE_ROOTS": str(folder),
        "MODELYARD_MODEL_NAME": "m",
        "MODELYARD_DRAIN_SECONDS": "0",
        "MODELYARD_LOG_LEVEL": "error",
    }
    environ = {**os.environ, **settings}
    subprocess.run([RUNTIME, "fetch"], check=True, env=environ)
    return environ


@contextlib.contextmanager
def _process(command: list[str], port: int, environ: dict[str, str] | None = None) -> Iterator[int]:
    process = subprocess.Popen(["taskset", "-c", "0", *command], env=environ)
    try:
        _wait(port, process)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until it answers with a success."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            if b" 200 " in connection.recv(100):
                return
        time.sleep(0.1)
    raise SystemExit("the server did not get ready")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
