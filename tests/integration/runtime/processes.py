"""The runtime's real processes, as a kubelet would run them: environment in, exit code and termination message out."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import joblib

from tests.support import waiting

LOOPBACK = "127.0.0.1"
COMMAND = Path(sys.executable).parent / "modelyard-runtime"


@dataclasses.dataclass(frozen=True)
class Program:
    """What runs: the installed command, or the same code in another environment."""

    command: tuple[str | Path, ...] = (COMMAND,)
    python_path: str = os.environ.get("PYTHONPATH", "")


INSTALLED = Program()


@dataclasses.dataclass(frozen=True)
class Ended:
    """A process that is over."""

    exit_code: int
    termination: dict[str, str] | None
    log: str
    max_rss_bytes: int

    def lines(self, message: str) -> list[dict[str, Any]]:
        """The log lines with this message."""
        parsed = (json.loads(line) for line in self.log.splitlines())
        return [line for line in parsed if line["message"] == message]


def assert_failed(ended: Ended, code: int, reason: str, *words: str) -> None:
    """Holds that a process ended for this reason, told in these words, without a secret and without a traceback."""
    assert ended.termination is not None, ended.log
    assert (ended.exit_code, ended.termination["reason"]) == (code, reason), ended.termination
    for word in words:
        assert word in ended.termination["message"], ended.termination["message"]
    assert "canary" not in str(ended)
    assert "Traceback" not in ended.log


def environment(folder: Path, program: Program = INSTALLED, /, **variables: str) -> dict[str, str]:
    """What a pod's container would have, with its volumes in `folder`; CREDENTIALS_x is the Secret's key x."""
    secret = {
        key.removeprefix("CREDENTIALS_"): value
        for key, value in variables.items()
        if key.startswith("CREDENTIALS_")
    }
    mounted = _mount_secret(folder / "credentials", secret)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": program.python_path,
        "MODELYARD_ARTIFACT_DIR": str(folder / "artifact"),
        "MODELYARD_TERMINATION_MESSAGE_PATH": str(folder / "termination"),
        # The tests' servers are on loopback, which nobody may reach by default, and their files are anywhere.
        "MODELYARD_ALLOWED_ADDRESSES": "127.0.0.0/8,::1/128",
        "MODELYARD_FILE_ROOTS": "/",
        **mounted,
        **{
            f"MODELYARD_{name}": value
            for name, value in variables.items()
            if name.removeprefix("CREDENTIALS_") not in secret
        },
    }


def _mount_secret(mount: Path, secret: Mapping[str, str]) -> dict[str, str]:
    if not secret:
        return {}
    mount.mkdir(exist_ok=True)
    for key, value in secret.items():
        (mount / key).write_text(value)
    return {"MODELYARD_CREDENTIALS_DIR": str(mount)}


def run(command: str, variables: Mapping[str, str], folder: Path, program: Program = INSTALLED) -> Ended:
    """Runs a command to its end."""
    (folder / "termination").unlink(missing_ok=True)
    with (folder / f"{command}.log").open("wb") as log:
        process = subprocess.Popen([*program.command, command], env=dict(variables), stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(
        process.returncode,
        _termination(folder),
        (folder / f"{command}.log").read_text(),
        usage.ru_maxrss * 1024,
    )


def fetch(folder: Path, uri: str, program: Program = INSTALLED, /, **variables: str) -> Ended:
    """Runs `fetch`."""
    return run("fetch", environment(folder, program, MODEL_URI=uri, **variables), folder, program)


def _termination(folder: Path) -> dict[str, str] | None:
    path = folder / "termination"
    if not path.exists():
        return None
    content: dict[str, str] = json.loads(path.read_bytes())
    return content


class Serving:
    """A `serve` process.

    Attributes:
        url: where it listens.
        client: an HTTP client for it, without retries.
    """

    def __init__(self, folder: Path, name: str, program: Program = INSTALLED, /, **variables: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=60)
        (folder / "termination").unlink(missing_ok=True)  # in a pod each container has one of its own
        self._log = (folder / "serve.log").open("wb")
        self.process = subprocess.Popen(
            [*program.command, "serve"],
            env=environment(folder, program, MODEL_NAME=name, PORT=str(self.port), **variables),
            stdout=self._log,
            stderr=self._log,
        )

    def wait_until(self, path: str, code: int = 200, seconds: float = 60) -> None:
        """Waits for an answer with that code."""

        def look() -> bool:
            assert self.process.poll() is None, self.log
            try:
                return self.client.get(path).status_code == code
            except httpx.TransportError:
                return False  # not there yet, or one process making room for the next

        waiting.eventually(look, f"{path} answers {code}", seconds, 0.02)

    def predict(self, rows: object) -> list[Any]:
        """The predictions for `rows` over `/predict`."""
        answer = self.client.post("/predict", json={"X": rows})
        assert answer.status_code == 200, answer.text
        predictions: list[Any] = answer.json()["y_pred"]
        return predictions

    def refused(self, content: bytes, path: str = "/predict", **headers: str) -> tuple[int, str]:
        """The code and message for a body that is not taken."""
        headers.setdefault("content-type", "application/json")
        answer = self.client.post(path, content=content, headers=headers)
        assert list(answer.json()) == ["error"], answer.text
        return answer.status_code, answer.json()["error"]

    def stop(self, wait_seconds: float = 30) -> Ended:
        """Sends SIGTERM and waits for the end."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(wait_seconds)

    def wait(self, wait_seconds: float = 30) -> Ended:
        """Waits for the end."""
        self.process.wait(wait_seconds)
        return Ended(self.process.returncode, _termination(self.folder), self.log, 0)

    @property
    def log(self) -> str:
        """Everything it has logged."""
        return (self.folder / "serve.log").read_text()

    @property
    def rss_bytes(self) -> int:
        """Its resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def close(self) -> None:
        """Ends whatever is left."""
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()


@contextlib.contextmanager
def serving(folder: Path, estimator: object, name: str = "m", **variables: str) -> Iterator[Serving]:
    """A ready server for an estimator that went through a file and `fetch`."""
    joblib.dump(estimator, folder / "model.joblib")
    fetched = fetch(folder, f"file://{folder}/model.joblib")
    assert fetched.exit_code == 0, fetched.log
    server = Serving(folder, name, **variables)
    try:
        server.wait_until("/readyz")
        yield server
    finally:
        server.close()


def free_port(host: str = LOOPBACK) -> int:
    """A port of an address of this machine that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def seconds_of(action: Any) -> float:
    """How long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
