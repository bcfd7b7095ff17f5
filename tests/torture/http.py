"""The model server under attack: whatever its own document allows and forbids, bytes that are no requests, idle crowds.

A row is a served model asked by schemathesis, or one kind of attack. After each the same process must answer, and its
memory must not have grown beyond what a body may be. All traffic goes to a server of our own on loopback, and is
bounded.
"""

import contextlib
import random
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bench import environments
from tests.integration.runtime import processes
from tests.torture import campaign

NAME = "http"
_LOCK = Path("tests/torture/schemathesis.txt")
_MEMORY_GROWTH_BYTES = 128 * 1024**2
_IDLE = 10_000
# Server errors are looked for in the server's own count: 503 and 504 may be the right answer to a deadline.
_CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"
_PEOPLE = pd.DataFrame({"age": [30.0, 40.0, 50.0, 60.0], "city": ["Oslo", "Rome", "Oslo", "Rome"]})
_TEXTS = ["good", "bad", "very good", "very bad"]


def _models() -> dict[str, Any]:
    columns = make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(), ["city"]))
    return {
        "numbers": LinearRegression().fit([[1.0, 2.0], [3.0, 5.0]], [1.0, 2.0]),
        "columns": make_pipeline(columns, LogisticRegression()).fit(_PEOPLE, [0, 1, 0, 1]),
        "documents": make_pipeline(CountVectorizer(), LogisticRegression()).fit(_TEXTS, ["+", "-", "+", "-"]),
    }


def run(order: campaign.Order) -> list[campaign.Row]:
    """Attack a server for each kind of model, then one with what is no request."""
    budget = campaign.Budget(order)
    rows = []
    for name, model in _models().items():
        if order.case in f"document of {name}" and not budget.is_spent():
            rows.append(
                _attack(order, f"document of {name}", model, lambda served: _ask_everything(served, order))
            )
    attacks: dict[str, Callable[[processes.Serving], str]] = {
        "bytes that are no requests": lambda served: _send_noise(served, order),
        "10,000 idle connections": _idle_crowd,
        "paths that are not there": _scan_paths,
    }
    for case, attack in attacks.items():
        if order.case in case and not budget.is_spent():
            rows.append(_attack(order, case, _models()["numbers"], attack))
    return rows


def _attack(
    order: campaign.Order, case: str, model: Any, attack: Callable[[processes.Serving], str]
) -> campaign.Row:
    print(f"  {case}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="modelyard-torture-") as folder,
        processes.serving(Path(folder), model) as served,
    ):
        before = served.rss_bytes
        problem = attack(served) or _aftermath(served, before)
    return campaign.Row(
        case, not problem, problem or "the server is as before", campaign.replay(NAME, order, case)
    )


def _aftermath(served: processes.Serving, rss_before: int) -> str:
    """Gives what is not as it was before an attack."""
    if served.process.poll() is not None:
        return f"the server ended: {served.log[-500:]}"
    if served.client.get("/readyz").status_code != 200:
        return "the server is not ready any more"
    if "Traceback" in served.log:
        return f"a traceback in the log: {served.log[-800:]}"
    grown = served.rss_bytes - rss_before
    return f"its memory grew by {grown // 2**20} MiB" if grown > _MEMORY_GROWTH_BYTES else ""


def _ask_everything(served: processes.Serving, order: campaign.Order) -> str:
    """Lets schemathesis ask what the document allows, and near misses; gives what it found."""
    python = environments.ensure(_LOCK)
    asked = subprocess.run(
        [
            *(python.parent / "schemathesis", "run", f"{served.url}/openapi.json", "--checks", _CHECKS),
            *("--seed", str(order.seed), "--max-examples", "40" if order.short else "400"),
            *("--request-timeout", "20", "--workers", "1", "--no-color", "--generation-database", "none"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=1200,
        cwd=served.folder,
    )
    if asked.returncode != 0:
        return asked.stdout[-6000:] + asked.stderr[-500:]
    counted = served.client.get("/metrics").text
    failed = [line for line in counted.splitlines() if "requests_total" in line and 'code="500"' in line]
    return f"the server failed: {failed}" if failed else ""


_SEEDS = (
    b'POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"X": [[1, 2]]}',
    b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"POST /predict HTTP/1.1\nhost: x\ncontent-length: 0\n\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
_PIECES = (
    *(
        b"\r\n",
        b"\n",
        b"\0",
        b"content-length: 9999999999\r\n",
        b"transfer-encoding: chunked\r\n",
        b"ffffffff\r\n",
    ),
    *(
        b"content-length: -1\r\n",
        b"expect: 100-continue\r\n",
        b"\xff" * 50,
        b"a" * 5000,
        b"[" * 2000,
        b"%00/../",
    ),
    *(b"content-encoding: gzip\r\n", b"inference-header-content-length: 99\r\n", b": \r\n", b"1e999,"),
)


def _noise(chance: random.Random) -> bytes:
    """Gives a request with a few things wrong."""
    content = bytearray(chance.choice(_SEEDS))
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(content) + 1)
        kind = chance.random()
        if kind < 0.4:
            content[place:place] = chance.choice(_PIECES)
        elif kind < 0.7:
            del content[place : place + chance.randint(1, 20)]
        else:
            content[place:place] = chance.randbytes(chance.randint(1, 20))
    return bytes(content)


def _send_noise(served: processes.Serving, order: campaign.Order) -> str:
    """Sends wrong requests and gives the first answer that is none: a server error, or what is not HTTP."""
    chance = random.Random(order.seed)
    for number in range(500 if order.short else 20_000):
        content = _noise(chance)
        with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
            answer = b"".join(_received(connection))
        if answer and not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4", b"HTTP/1.1 1")):
            return f"request {number} {content[:300]!r} got {answer[:300]!r}"
    return ""


def _received(connection: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            yield part


def _idle_crowd(served: processes.Serving) -> str:
    """Opens ten thousand connections that say nothing, and sees whether others are still served."""
    with contextlib.ExitStack() as crowd:
        for number in range(_IDLE):
            crowd.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=30))
            if number % 1000 == 999:
                with httpx.Client(base_url=served.url, timeout=10) as client:
                    code = client.get("/readyz").status_code
                    answered = client.post("/predict", json={"X": [[1, 2]]}).status_code
                if (code, answered) != (200, 200):
                    return f"with {number + 1} idle connections health answers {code}, predictions {answered}"
    return ""


_NOT_SERVED = (
    *(
        "docs",
        "redoc",
        "admin",
        "debug",
        "debug/pprof",
        "console",
        "env",
        "actuator",
        ".env",
        ".git/config",
        "config",
    ),
    *(
        "v2/repository/index",
        "v2/repository/models/m/load",
        "v2/repository/models/m/unload",
        "v2/logging",
        "shutdown",
    ),
    *(
        "..%2f..%2fetc%2fpasswd",
        "static/../../etc/passwd",
        "page/__init__.py",
        "page.py",
        "models",
        "files",
        "eval",
    ),
)


def _scan_paths(served: processes.Serving) -> str:
    """Asks for what attackers look for; gives the first thing that is there."""
    for path in _NOT_SERVED:
        for method in ("GET", "POST", "PUT", "DELETE"):
            code = served.client.request(method, f"/{path}").status_code
            if code != 404:
                return f"{method} /{path} answers {code}"
    return ""
