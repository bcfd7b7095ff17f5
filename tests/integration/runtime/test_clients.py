"""The protocols' own Python clients work as they are published, and so does every example of the reference."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from bench import environments
from tests.integration.runtime import processes

IRIS = load_iris()
ROWS = IRIS.data[::30]
HERE = Path(__file__).parent
REFERENCE = HERE.parents[2] / "docs/reference/http-api.md"


@pytest.fixture(scope="module")
def tree() -> DecisionTreeClassifier:
    """A classifier whose probabilities are 0 and 1, the same everywhere."""
    return DecisionTreeClassifier(random_state=0).fit(IRIS.data, IRIS.target)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, tree: DecisionTreeClassifier
) -> Iterator[processes.Serving]:
    """The classifier, served."""
    with processes.serving(tmp_path_factory.mktemp("iris"), tree, "iris") as serving:
        yield serving


@pytest.fixture(scope="module")
def found(server: processes.Serving) -> dict[str, dict[str, Any]]:
    """What the clients got."""
    python = environments.ensure(HERE / "clients.txt")
    finished = subprocess.run(
        [python, HERE / "client_calls.py", str(server.port), "iris", json.dumps(ROWS.tolist())],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    answers: dict[str, dict[str, Any]] = json.loads(finished.stdout.splitlines()[-1])
    return answers


def test_tritons_client(found: dict[str, dict[str, Any]], tree: DecisionTreeClassifier) -> None:
    predictions, probabilities = tree.predict(ROWS).tolist(), tree.predict_proba(ROWS).tolist()
    assert found["triton"] == {
        "live": True,
        "ready": True,
        "extensions": ["binary_tensor_data"],
        "inputs": [{"name": "X", "datatype": "FP64", "shape": [-1, 4]}],
        **{f"id, binary {binary}": "7" for binary in (True, False)},
        **{f"probabilities, binary {binary}": probabilities for binary in (True, False)},
        **{f"predictions, binary {binary}": predictions for binary in (True, False)},
    }


def test_kserves_client(found: dict[str, dict[str, Any]], tree: DecisionTreeClassifier) -> None:
    predictions = tree.predict(ROWS).tolist()
    assert found["kserve"] == {
        "ready": True,
        "ready, v1": True,
        "predictions, v1": predictions,
        "predictions, v2, binary True": predictions,
        "predictions, v2, binary False": predictions,
    }


def test_mlflows_client(found: dict[str, dict[str, Any]], tree: DecisionTreeClassifier) -> None:
    assert found["mlflow"] == {"predictions": tree.predict(ROWS).tolist()}


EXAMPLES = re.findall(r"```console\n\$ (.*?)```", REFERENCE.read_text(), re.DOTALL)


def test_the_reference_has_examples() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda example: re.findall(r"http://iris(/[^\s']*)", example)[0]
)
def test_an_example_gives_what_it_shows(example: str, server: processes.Serving, tmp_path: Path) -> None:
    command, _, expected = example.replace("\\\n", "").partition("\n")
    finished = subprocess.run(
        ["bash", "-c", command.replace("http://iris", server.url)],
        cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert finished.stdout.strip() == expected.strip()
