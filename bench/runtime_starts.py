"""`python -m bench.runtime_starts`: what a pod's start costs: fetch, prepare, and serve until the first answer.

Run by hand. With `--beside CHECKOUT` another checkout of this project takes turns with this one, so
that a change is measured as a ratio of one run. Processor time hardly depends on what else the machine does; seconds
do. Last, somebody asks for the OpenAPI document, which brings the web framework, while predictions go on.
"""

import argparse
import dataclasses
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench import process_tree, runtime_cases, runtime_servers, runtime_wording

_ROOT = Path(__file__).parents[1]
_CASES = ("pipeline", "boosting")
_ENGINES = {"Off": "plain", "Auto": "accelerated"}
_ANSWER_SECONDS = 120
_LOOK_SECONDS = 0.01
_SETTLE_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Start:
    """One start; processor time in seconds, and the first answer's moment in seconds too."""

    fetch: float
    prepare: float
    serve: float
    seconds: float
    mebibytes: float
    usual_ms: float
    worst_ms: float


def main() -> None:
    """Measure and print a table, and the ratios where there are two checkouts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    checkouts = [_ROOT, *([chosen.beside.absolute()] if chosen.beside else [])]
    cases = [each for each in runtime_cases.CASES if each.name in _CASES]
    print(
        "| model | engine | checkout | fetch CPU | prepare CPU | serve CPU | first answer | memory | p50 | worst |"
    )
    print("|---|---|---|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as temporary:
        for case in cases:
            folder = Path(temporary) / case.name
            folder.mkdir()
            prepared = runtime_cases.prepare(case, folder)
            for choice, engine in _ENGINES.items():
                found: dict[Path, list[Start]] = {each: [] for each in checkouts}
                for _ in range(chosen.rounds):
                    for checkout in checkouts:
                        found[checkout].append(_start(checkout, prepared, choice))
                medians = [_median(found[each]) for each in checkouts]
                for one, name in zip(medians, ("this", "the other"), strict=False):
                    print(f"| {case.name} | {engine} | {name} |{_row(one)}", flush=True)
                if chosen.beside:
                    here, there = (dataclasses.astuple(one)[:5] for one in medians)
                    ratios = "".join(
                        f" {mine / theirs:.2f} |" for mine, theirs in zip(here, there, strict=True)
                    )
                    print(f"| {case.name} | {engine} | _ratio_ |{ratios} | |", flush=True)


def _median(starts: list[Start]) -> Start:
    columns = zip(*(dataclasses.astuple(one) for one in starts), strict=True)
    return Start(*(statistics.median(column) for column in columns))


def _row(one: Start) -> str:
    return (
        f" {one.fetch:.2f} s | {one.prepare:.2f} s | {one.serve:.2f} s | {one.seconds:.2f} s |"
        f" {one.mebibytes:.0f} MiB | {one.usual_ms:.1f} ms | {one.worst_ms:.0f} ms |"
    )


def _start(checkout: Path, prepared: runtime_cases.Prepared, choice: str) -> Start:
    """Run the three commands of a pod, ask the last one, and end it."""
    with tempfile.TemporaryDirectory(dir=prepared.joblib_file.parent) as temporary:
        folder = Path(temporary)
        port = _free_port()
        environ = runtime_servers.inherited(os.environ) | {
            "PYTHONPATH": str(checkout / "runtime"),
            "MODELYARD_MODEL_NAME": runtime_wording.MODEL,
            "MODELYARD_MODEL_URI": prepared.joblib_file.as_uri(),
            "MODELYARD_FILE_ROOTS": str(prepared.joblib_file.parent),
            "MODELYARD_ARTIFACT_DIR": str(folder),
            "MODELYARD_ACCELERATE": choice,
            "MODELYARD_PORT": str(port),
            "MODELYARD_TERMINATION_MESSAGE_PATH": str(folder / "termination-message"),
        }
        fetch, prepare = (_run(step, environ) for step in ("fetch", "prepare"))
        question = json.dumps({"X": [list(map(float, row)) for row in prepared.asked[0]]})
        begun = time.monotonic()
        with subprocess.Popen(_command("serve"), env=environ, stderr=subprocess.DEVNULL) as server:
            try:
                while not _asks(port, question):
                    if server.poll() is not None or time.monotonic() > begun + _ANSWER_SECONDS:
                        raise SystemExit(f"{checkout}: serve gave no answer")
                    time.sleep(_LOOK_SECONDS)
                seconds = time.monotonic() - begun
                serve = process_tree.cpu_seconds(server.pid)
                time.sleep(_SETTLE_SECONDS)
                memory = process_tree.memory_mebibytes(server.pid)
                usual, worst = _while_framework_comes(port, question)
            finally:
                server.kill()
    return Start(fetch, prepare, serve, seconds, memory, usual, worst)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _command(step: str) -> tuple[str, ...]:
    core = str(runtime_servers.cores()[0])
    return ("taskset", "--cpu-list", core, sys.executable, "-m", "modelyard_runtime", step)


def _run(step: str, environ: dict[str, str]) -> float:
    """Run a command to its end; give its processor time, its children's included."""
    before = os.times()
    done = subprocess.run(_command(step), env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{step} failed: {done.stderr[-1000:]}")
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _asks(port: int, question: str) -> bool:
    """Ask once; say whether there was an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/predict", question)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _while_framework_comes(port: int, question: str) -> tuple[float, float]:
    """Give the median and the longest time of a prediction, in ms, while the first OpenAPI document is made."""

    def ask_for_document() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/openapi.json")
        connection.getresponse().read()
        connection.close()

    asking = threading.Thread(target=ask_for_document)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    asking.start()
    took = []
    while asking.is_alive():
        started = time.perf_counter()
        connection.request("POST", "/predict", question)
        connection.getresponse().read()
        took.append((time.perf_counter() - started) * 1000)
    connection.close()
    return statistics.median(took), max(took)


if __name__ == "__main__":
    main()
