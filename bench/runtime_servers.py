"""The servers of the runtime's benchmark: how each is started with a model, and how it wants to be asked.

Used by `runtime_measures`. Peers run from environments of their own (`environments`), with their own defaults except
for what their row says. One worker each: there is one core. To add a server, add its row and its lock in bench/peers.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import runtime_cases, runtime_wording

PEERS = Path(__file__).with_name("peers")
_ROOT = Path(__file__).parents[1]
_STEP_SECONDS = 300
_BATCHING = {"max_batch_size": 16, "max_batch_time": 0.002}


class NotThereError(Exception):
    """A server that can't be measured on this version; says why."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a server is to run.

    Attributes:
        python: of its environment.
        ports: three free ones, the first for HTTP.
        folder: for its files.
        environ: what every server inherits.
    """

    python: Path
    ports: tuple[int, int, int]
    folder: Path
    environ: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Launch:
    """A command that stays in the foreground, and its whole environment."""

    command: tuple[str, ...]
    environ: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Server:
    """One row of the tables.

    Attributes:
        lock: name of its lock in bench/peers; None for the environment that this runs in.
        wordings: by form of a case; a server without a form is left out of the cases of that form.
    """

    name: str
    title: str
    lock: str | None
    launch: Callable[[runtime_cases.Prepared, Place], Launch]
    wordings: Mapping[str, runtime_wording.Wording]
    packages: tuple[str, ...]


def _flask(prepared: runtime_cases.Prepared, place: Place) -> Launch:
    command = ("-m", "gunicorn", "--workers", "1", "--bind", f"127.0.0.1:{place.ports[0]}")
    return _python(place, *command, "--chdir", str(PEERS), "flask_app:app", BENCH_MODEL=prepared.pickle_file)


def _mlserver(workers: int | None, batching: Mapping[str, float]) -> Callable[..., Launch]:
    def launch(prepared: runtime_cases.Prepared, place: Place) -> Launch:
        http, grpc, metrics = place.ports
        settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
        if workers is not None:
            settings["parallel_workers"] = workers
        model = {
            "name": runtime_wording.MODEL,
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": str(prepared.joblib_file)},
        }
        (place.folder / "settings.json").write_text(json.dumps(settings))
        (place.folder / "model-settings.json").write_text(json.dumps(model | dict(batching)))
        return Launch(
            (str(place.python.with_name("mlserver")), "start", str(place.folder)), dict(place.environ)
        )

    return launch


def _kserve(prepared: runtime_cases.Prepared, place: Place) -> Launch:
    ports = (f"--http_port={place.ports[0]}", f"--grpc_port={place.ports[1]}")
    return _python(place, str(PEERS / "kserve_server.py"), *ports, BENCH_MODEL=prepared.joblib_file)


def _bentoml(prepared: runtime_cases.Prepared, place: Place) -> Launch:
    command = (str(place.python.with_name("bentoml")), "serve", "bentoml_service:Predictor")
    options = ("--host", "127.0.0.1", "--port", str(place.ports[0]), "--working-dir", str(PEERS))
    variables = {
        "BENCH_MODEL": str(prepared.joblib_file),
        "BENTOML_HOME": str(place.folder),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    return Launch((*command, *options), {**place.environ, **variables})


def _litserve(prepared: runtime_cases.Prepared, place: Place) -> Launch:
    script = str(PEERS / "litserve_server.py")
    return _python(place, script, str(place.ports[0]), BENCH_MODEL=prepared.joblib_file)


def _limit(prepared: runtime_cases.Prepared, place: Place) -> Launch:
    answer = place.folder / "answer.json"
    truth = prepared.asked[1]
    output = {"name": "predict", "shape": [len(truth)], "datatype": "FP64", "data": truth}
    answer.write_text(json.dumps({"model_name": runtime_wording.MODEL, "outputs": [output]}))
    options = ("--host", "127.0.0.1", "--port", str(place.ports[0]), "--no-access-log", "--lifespan", "off")
    fast = ("--loop", "uvloop", "--http", "httptools", "--app-dir", str(PEERS))
    return _python(place, "-m", "uvicorn", "constant_app:app", *options, *fast, BENCH_ANSWER=answer)


def _modelyard(accelerate: str) -> Callable[..., Launch]:
    def launch(prepared: runtime_cases.Prepared, place: Place) -> Launch:
        environ = {
            **place.environ,
            "PYTHONPATH": str(_ROOT / "runtime"),
            "MODELYARD_MODEL_NAME": runtime_wording.MODEL,
            "MODELYARD_MODEL_URI": prepared.joblib_file.as_uri(),
            "MODELYARD_FILE_ROOTS": str(prepared.joblib_file.parent),
            "MODELYARD_ARTIFACT_DIR": str(place.folder / "artifact"),
            "MODELYARD_ACCELERATE": accelerate,
            "MODELYARD_PORT": str(place.ports[0]),
            "MODELYARD_TERMINATION_MESSAGE_PATH": str(place.folder / "termination-message"),
        }
        (place.folder / "artifact").mkdir()
        program = (str(place.python), "-m", "modelyard_runtime")
        # What the init containers do before the serving container starts.
        for step in ("fetch", "prepare"):
            _run_step((*program, step), environ)
        return Launch((*program, "serve"), environ)

    return launch


def _run_step(command: tuple[str, ...], environ: dict[str, str]) -> None:
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=_STEP_SECONDS, check=False
    )
    if "invalid choice" in done.stderr:
        raise NotThereError(f"this version of the runtime has no `{command[-1]}`")
    if done.returncode != 0:
        raise RuntimeError(f"`{command[-1]}` failed:\n{done.stderr[-1000:]}")


def _python(place: Place, *arguments: str, **variables: Path) -> Launch:
    added = {name: str(value) for name, value in variables.items()}
    return Launch((str(place.python), *arguments), {**place.environ, **added})


_PREDICT = {"v2": runtime_wording.PREDICT, "predict": runtime_wording.PREDICT}
_V1 = {"v2": runtime_wording.V1, "predict": runtime_wording.V1}
_V2 = {"v2": runtime_wording.V2}
_BINARY = {"v2": runtime_wording.V2, "binary": runtime_wording.V2_BINARY}
_OURS = {**_BINARY, "predict": runtime_wording.PREDICT}
_OWN_PACKAGES = ("uvicorn", "uvloop", "httptools")

LIMIT, PLAIN, ACCELERATED = "limit", "modelyard-plain", "modelyard"
OURS = (ACCELERATED, PLAIN)
SERVERS = (
    Server(ACCELERATED, "**Modelyard**", None, _modelyard("Auto"), _OURS, ("modelyard", "scikit-learn")),
    Server(PLAIN, "**Modelyard, plain scikit-learn**", None, _modelyard("Off"), _OURS, ("modelyard",)),
    Server("kserve-v2", "KServe's SDK, V2", "kserve", _kserve, _BINARY, ("kserve",)),
    Server("kserve-v1", "KServe's SDK, V1", "kserve", _kserve, _V1, ()),
    Server("mlserver", "MLServer, its defaults", "mlserver", _mlserver(None, {}), _V2, ("mlserver",)),
    Server("mlserver-inline", "MLServer, no worker process", "mlserver", _mlserver(0, {}), _V2, ()),
    Server("mlserver-batching", "MLServer, batching", "mlserver", _mlserver(None, _BATCHING), _V2, ()),
    Server("bentoml", "BentoML", "bentoml", _bentoml, {"v2": runtime_wording.BENTOML}, ("bentoml",)),
    Server("litserve", "LitServe", "litserve", _litserve, _PREDICT, ("litserve",)),
    Server("flask", "Flask and gunicorn", "flask", _flask, _PREDICT, ("flask", "gunicorn")),
    Server(LIMIT, "_a constant on uvicorn_", None, _limit, _V2, _OWN_PACKAGES),
)


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Give what every server inherits: no setting of ours, and one thread for every numerical library."""
    kept = {key: environ[key] for key in ("PATH", "HOME", "LANG") if key in environ}
    threads = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
    return kept | {f"{library}_NUM_THREADS": "1" for library in threads}


def own_python() -> Path:
    """Give the Python that this runs on."""
    return Path(sys.executable)


def pinned(launch: Launch, core: int) -> tuple[str, ...]:
    """Give the command that runs a server on one core, and that ends with the process that started it."""
    return ("taskset", "--cpu-list", str(core), "setpriv", "--pdeathsig", "TERM", *launch.command)


def cores() -> tuple[int, int]:
    """Give one core for the server and one for who asks it.

    Raises:
        RuntimeError: there is only one.
    """
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        raise RuntimeError("two cores are needed: one for the server and one for wrk")
    return found[0], found[1]
