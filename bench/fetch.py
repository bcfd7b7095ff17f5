"""`modelyard-runtime fetch` beside curl from the same server: 1 GB over HTTP and S3, and memory with 4 GB.

`make bench-fetch` runs it and prints the tables of docs/benchmarks.md. Both write the file; `fetch` hashes it as well.
Runs take turns, so that whatever else the machine does meets both.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import obstore
import obstore.store

from devcluster import toolchain

_KEY, _SECRET = "bench", "bench-secret"
_GIB = 1024**3
_MIB = 1024**2


@dataclasses.dataclass(frozen=True)
class Run:
    """One transfer: how long it took, its process's processor time and its peak memory."""

    seconds: float
    processor_seconds: float
    peak_bytes: int


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where the files are")  # noqa: S108
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: through every clean-up
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        (folder / "buckets" / "models").mkdir(parents=True)
        _make(folder / "buckets/models/one.pkl", _GIB, filled=True)
        _make(folder / "buckets/models/four.pkl", 4 * _GIB, filled=False)
        with _http(folder) as http, _s3(folder) as s3:
            sources: dict[str, tuple[str, Callable[[str], str]]] = {
                "http": ("", lambda name: f"{http}/{name}"),
                "s3 (versitygw)": (s3, lambda name: f"s3://models/{name}"),
            }
            print(
                "| source | curl -o | fetch | ratio | processor: curl | fetch | peak memory: 1 GiB | 4 GiB |"
            )
            print("|---|---:|---:|---:|---:|---:|---:|---:|")
            for label, (endpoint, uri) in sources.items():
                print(_row(label, folder, endpoint, uri, options.runs), flush=True)


def _row(label: str, folder: Path, endpoint: str, uri: Callable[[str], str], runs: int) -> str:
    url = _presigned(endpoint, "one.pkl") if endpoint else uri("one.pkl")
    curls: list[Run] = []
    fetches: list[Run] = []
    for _ in range(runs + 1):  # the first warms the page cache and counts for nothing
        curls.append(_curl(folder, url))
        fetches.append(_fetch(folder, uri("one.pkl"), endpoint))
    curl = statistics.median(run.seconds for run in curls[1:])
    fetch = statistics.median(run.seconds for run in fetches[1:])
    curl_processor = statistics.median(run.processor_seconds for run in curls[1:])
    fetch_processor = statistics.median(run.processor_seconds for run in fetches[1:])
    four = _fetch(folder, uri("four.pkl"), endpoint)
    peak = max(run.peak_bytes for run in fetches[1:])
    return (
        f"| {label} | {1024 / curl:.0f} MiB/s | {1024 / fetch:.0f} MiB/s | {curl / fetch:.2f} |"
        f" {curl_processor:.1f} s | {fetch_processor:.1f} s | {peak // _MIB} MiB | {four.peak_bytes // _MIB} MiB |"
    )


def _make(path: Path, size_bytes: int, filled: bool) -> None:
    with path.open("wb") as file:
        file.write(b"\x80\x04")
        if filled:
            for _ in range(size_bytes // _MIB):
                file.write(os.urandom(_MIB))
        file.truncate(size_bytes)


def _curl(folder: Path, url: str) -> Run:
    target = folder / "curl.out"
    run = _run(["curl", "--silent", "--fail", "--output", target, url], {}, folder)
    target.unlink()
    return run


def _fetch(folder: Path, uri: str, endpoint: str) -> Run:
    credentials = folder / "credentials"
    credentials.mkdir(exist_ok=True)
    keys = {"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _SECRET, "AWS_ENDPOINT_URL": endpoint}
    for key, value in keys.items():
        (credentials / key).write_text(value)
    variables = {
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "MODELYARD_MODEL_URI": uri,
        "MODELYARD_ARTIFACT_DIR": str(folder / "artifact"),
        "MODELYARD_CREDENTIALS_DIR": str(credentials),
        "MODELYARD_ALLOWED_ADDRESSES": "127.0.0.0/8",
        "MODELYARD_TERMINATION_MESSAGE_PATH": str(folder / "termination"),
    }
    command: list[str | Path] = [Path(sys.executable).parent / "modelyard-runtime", "fetch"]
    run = _run(command, variables, folder)
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    (seconds,) = [line["seconds"] for line in lines if line["message"] == "fetched"]
    shutil.rmtree(folder / "artifact")
    return dataclasses.replace(run, seconds=seconds)


def _run(command: list[str | Path], variables: dict[str, str], folder: Path) -> Run:
    """Runs a command and gives what it took."""
    with (folder / "log").open("wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit((folder / "log").read_text())
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


@contextlib.contextmanager
def _http(folder: Path) -> Iterator[str]:
    port = _free_port()
    with _serving(
        [sys.executable, "-m", "bench.fetch_server", folder / "buckets/models", str(port)], port, {}
    ):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _s3(folder: Path) -> Iterator[str]:
    port = _free_port()
    (folder / "metadata").mkdir()
    command: list[str | Path] = [
        toolchain.binary("versitygw"), "--port", f"127.0.0.1:{port}", "posix", "--sidecar", folder / "metadata",
        folder / "buckets",
    ]  # fmt: skip
    with _serving(command, port, {"ROOT_ACCESS_KEY": _KEY, "ROOT_SECRET_KEY": _SECRET}):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _serving(command: list[str | Path], port: int, variables: dict[str, str]) -> Iterator[None]:
    environment = {**os.environ, **variables}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield
    finally:
        server.kill()
        server.wait()


def _presigned(endpoint: str, key: str) -> str:
    store = obstore.store.S3Store(
        "models", endpoint=endpoint, access_key_id=_KEY, secret_access_key=_SECRET, region="us-east-1",
        client_options={"allow_http": True},
    )  # fmt: skip
    url = obstore.sign(store, "GET", key, expires_in=datetime.timedelta(hours=1))
    with httpx.stream("GET", url) as answer:
        answer.raise_for_status()
    return url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
