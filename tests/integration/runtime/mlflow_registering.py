"""Registers artifacts with an MLflow tracking server by its REST API, which needs no MLflow here."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import httpx


@dataclasses.dataclass(frozen=True)
class Run:
    """A run: its id, and where the server says that its artifacts are."""

    id: str
    artifacts: str


class Registering:
    """One server's experiments, runs and registered models."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/2.0", timeout=60)

    def run(self, experiment: str, location: str = "") -> Run:
        """Starts a run of a new experiment, whose artifacts are at `location` or where the server keeps them."""
        wanted = {"artifact_location": location} if location else {}
        made = self._ask("experiments/create", {"name": experiment, **wanted})
        info = self._ask("runs/create", {"experiment_id": made["experiment_id"]})["run"]["info"]
        return Run(info["run_id"], info["artifact_uri"])

    def upload(self, run: Run, path: str, content: bytes) -> None:
        """Hands the server an artifact that it passes on itself."""
        folder = run.artifacts.removeprefix("mlflow-artifacts:").strip("/")
        self._client.put(f"/mlflow-artifacts/artifacts/{folder}/{path}", content=content).raise_for_status()

    def register(self, name: str, run: Run, path: str, alias: str) -> None:
        """Makes a registered model whose version 1 is a folder of a run, with an alias."""
        self._ask("registered-models/create", {"name": name})
        source = f"{run.artifacts}/{path}"
        self._ask("model-versions/create", {"name": name, "source": source, "run_id": run.id})
        self._ask("registered-models/alias", {"name": name, "alias": alias, "version": "1"})

    def close(self) -> None:
        """Gives up its connections."""
        self._client.close()

    def _ask(self, path: str, body: Mapping[str, str]) -> Any:
        answer = self._client.post(f"/mlflow/{path}", json=body)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()
