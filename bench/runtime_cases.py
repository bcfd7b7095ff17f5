"""The cases of the runtime's benchmark: a model that is trained here, rows to ask it, and scikit-learn's own answers.

Used by `runtime_measures`. Training is seeded and takes a second or two; nothing is fetched.
"""

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn import compose, datasets, ensemble, linear_model, pipeline, preprocessing

from bench import runtime_wording

MAIN_CONNECTIONS = (1, 16, 64)
_SEED = 7


@dataclasses.dataclass(frozen=True)
class Case:
    """What is asked of every server.

    Attributes:
        title: in words, for the table.
        make: trains the model; gives it with a pool of rows that it can be asked.
        rows: how many rows a request has.
        connections: how many connections it is measured with.
        form: `v2`, `binary` (V2 with binary tensors) or `predict`: how our own runtime is asked. Others are asked in
            their own protocol, and left out of `binary` when they have none.
    """

    name: str
    title: str
    make: Callable[[], tuple[Any, runtime_wording.Rows]]
    rows: int = 1
    connections: tuple[int, ...] = (16,)
    form: str = "v2"


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A case ready to be asked: the model in files, and two sets of rows with the truth about each."""

    case: Case
    joblib_file: Path
    pickle_file: Path
    asked: tuple[runtime_wording.Rows, list[Any]]
    other: tuple[runtime_wording.Rows, list[Any]]


def prepare(case: Case, folder: Path) -> Prepared:
    """Train a case's model, write it into `folder`, and let it predict."""
    model, pool = case.make()
    # The rows of the data sets are sorted by class: the last are of another one than the first.
    asked, other = pool[: case.rows], pool[-case.rows :]
    files = folder / "model.joblib", folder / "model.pkl"
    joblib.dump(model, files[0])
    files[1].write_bytes(pickle.dumps(model))
    return Prepared(case, *files, (asked, _truth(model, asked)), (other, _truth(model, other)))


def _truth(model: Any, rows: runtime_wording.Rows) -> list[Any]:
    table = pd.DataFrame(rows) if isinstance(rows, list) else rows
    truth: list[Any] = model.predict(table).tolist()
    return truth


def _linear() -> tuple[Any, runtime_wording.Rows]:
    table, target = datasets.load_diabetes(return_X_y=True)
    return linear_model.LinearRegression().fit(table, target), table


def _pipeline() -> tuple[Any, runtime_wording.Rows]:
    table, target = datasets.load_iris(return_X_y=True)
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
    return model.fit(table, target), table


def _forest() -> tuple[Any, runtime_wording.Rows]:
    table, target = datasets.load_iris(return_X_y=True)
    model = ensemble.RandomForestClassifier(n_estimators=100, random_state=_SEED).fit(table, target)
    noise = np.random.default_rng(_SEED).normal(0, 0.1, (1050, 4))
    return model, np.repeat(table, 7, axis=0) + noise


def _boosting() -> tuple[Any, runtime_wording.Rows]:
    table, target = datasets.load_breast_cancer(return_X_y=True)
    model = ensemble.HistGradientBoostingClassifier(max_iter=100, random_state=_SEED)
    return model.fit(table, target), table


def _wide() -> tuple[Any, runtime_wording.Rows]:
    table, target = datasets.make_regression(2000, 100, noise=1.0, random_state=_SEED)
    return linear_model.LinearRegression().fit(table, target), table


def _strings() -> tuple[Any, runtime_wording.Rows]:
    random = np.random.default_rng(_SEED)
    frame = pd.DataFrame(
        {
            "age": random.uniform(18, 90, 400),
            "income": random.uniform(10_000, 90_000, 400),
            "city": random.choice(["Bern", "Lyon", "Porto", "Turin"], 400),
            "plan": random.choice(["basic", "plus"], 400),
        }
    )
    leaves = (frame["age"] > 50) ^ (frame["plan"] == "plus")
    columns = compose.make_column_transformer(
        (preprocessing.OneHotEncoder(handle_unknown="ignore"), ["city", "plan"]),
        (preprocessing.StandardScaler(), ["age", "income"]),
    )
    model = pipeline.make_pipeline(columns, linear_model.LogisticRegression())
    # Numbers for classes, since the SDK of KServe fails on text in its V2 answers.
    model.fit(frame, leaves.astype(int))
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return model, rows


CASES = (
    Case("pipeline", "scaler and logistic regression, 1 row", _pipeline, connections=MAIN_CONNECTIONS),
    Case("linear", "linear regression, 1 row", _linear, connections=MAIN_CONNECTIONS),
    Case("linear-predict", "the same over `/predict`", _linear, form="predict"),
    Case("forest", "forest of 100 trees, 1 row", _forest, connections=MAIN_CONNECTIONS),
    Case("boosting", "gradient boosting, 100 rounds, 1 row", _boosting),
    Case("forest-rows", "forest of 100 trees, 1,000 rows", _forest, rows=1000),
    Case("bulk", "1,000 rows of 100 numbers, JSON", _wide, rows=1000),
    Case("bulk-binary", "the same, binary", _wide, rows=1000, form="binary"),
    Case("strings", "pipeline on rows with text, 1 row", _strings),
)
