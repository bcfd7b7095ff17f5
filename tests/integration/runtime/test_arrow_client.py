"""The real pyarrow asks for predictions and reads them; what it writes is read, whole, and survived, damaged."""

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from bench import environments
from modelyard_runtime import errors
from modelyard_runtime.protocols.arrow import reader
from tests.integration.runtime import processes
from tests.support import arrow_mutations

HERE = Path(__file__).parent
PEOPLE = pd.DataFrame({"age": np.arange(30.0, 70.0, 5.0), "city": ["Rome", "Oslo"] * 4})
NUMBERS = np.stack([np.arange(7) + index for index in range(4)], axis=1)
TEXTS = ["a", "øø", None, "", "x" * 30]


@pytest.fixture(scope="module")
def served() -> dict[str, Any]:
    """A pipeline of numbers and text, and a tree of unnamed numbers."""
    encoder = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["age"]))
    return {
        "people": make_pipeline(encoder, LogisticRegression()).fit(PEOPLE, ["no", "yes"] * 4),
        "numbers": DecisionTreeClassifier(random_state=0).fit(NUMBERS, NUMBERS[:, 0] // 3),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pyarrow leaves streams."""
    return tmp_path_factory.mktemp("streams")


@pytest.fixture(scope="module")
def answers(
    served: dict[str, Any], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, list[Any]]]:
    """What pyarrow read from the servers."""
    python = environments.ensure(HERE / "clients.txt")
    with (
        processes.serving(tmp_path_factory.mktemp("people"), served["people"], "people") as people,
        processes.serving(tmp_path_factory.mktemp("numbers"), served["numbers"], "numbers") as numbers,
    ):
        finished = subprocess.run(
            [python, HERE / "arrow_calls.py", str(people.port), str(numbers.port), folder],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert finished.returncode == 0, finished.stderr[-3000:]
    found: dict[str, dict[str, list[Any]]] = json.loads(finished.stdout)
    return found


@pytest.mark.parametrize(("name", "rows"), [("people", PEOPLE), ("numbers", NUMBERS)])
def test_pyarrow_gets_what_the_model_predicts(
    name: str, rows: Any, served: dict[str, Any], answers: dict[str, dict[str, list[Any]]]
) -> None:
    model, answer = served[name], answers[name]
    assert answer["y_pred"] == model.predict(rows).tolist()
    found = np.stack([answer[f"y_proba_{label}"] for label in model.classes_], axis=1)
    assert found == pytest.approx(model.predict_proba(rows), rel=1e-6)


@pytest.mark.usefixtures("answers")
def test_every_layout_that_pyarrow_writes_is_read(folder: Path) -> None:
    def read(name: str) -> dict[str, list[Any]]:
        columns = reader.read((folder / name).read_bytes(), None)
        return {
            column: [None if isinstance(one, float) and math.isnan(one) else one for one in values.tolist()]
            for column, values in columns
        }

    assert read("numbers") == {
        "a": [1, None, 3, 4, 5],
        "b": [0, 1, 2, 3, 4],
        "c": [True, False, None, True, True],
        "d": [0, 1, 2, 3, 4],
        "e": [None] * 5,
    }
    views = [None, "more than twelve", "short", "", "another long one"]
    assert read("texts") == {"a": TEXTS, "b": TEXTS, "c": views}
    assert read("dictionaries") == {"a": TEXTS, "b": [7, 8, None, 7, 7]}
    assert read("lists") == {"a": [[[1, 2], [3, 4]]] * 5}
    for name, word in (("compressed", "Content-Encoding"), ("timestamps", "timestamps")):
        with pytest.raises(errors.InvalidInput, match=word):
            read(name)


@pytest.mark.usefixtures("answers")
def test_what_pyarrow_wrote_is_survived_when_it_is_damaged(folder: Path) -> None:
    streams = [file.read_bytes() for file in sorted(folder.iterdir())]
    read, refused = 0, 0
    for body in arrow_mutations.mutations(streams, 20_000, seed=20):
        try:
            columns = reader.read(body, None)
        except errors.InvalidInput:
            refused += 1
        else:
            assert len({len(values) for _, values in columns}) == 1
            read += 1
    assert min(read, refused) > 500
