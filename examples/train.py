"""Trains the two example models and knows what they should answer.

Called by the demo and by the end-to-end tests, which serve the files and compare the served predictions with these
estimators' own. Run as a program it writes the files into a folder: `python -m examples.train FOLDER`.
It must stay an ordinary scikit-learn script, the kind a data scientist would have: nothing in it knows Modelyard.
"""

import dataclasses
import hashlib
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy
import sklearn.datasets
import sklearn.ensemble
import sklearn.linear_model


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A fitted estimator, the file it was saved to, its digest as `spec.model.digest` takes it, and rows to try."""

    name: str
    estimator: Any
    path: Path
    digest: str
    rows: list[list[float]]


def train_line(folder: Path) -> TrainedModel:
    """Fit `y = 2x + 1` by linear regression and save it as `model.pkl`."""
    x = numpy.arange(10, dtype=float).reshape(-1, 1)
    estimator = sklearn.linear_model.LinearRegression().fit(x, 2 * x.ravel() + 1)
    path = folder / "model.pkl"
    joblib.dump(estimator, path)
    return TrainedModel("line", estimator, path, _digest(path), [[3.0], [10.0], [-2.0]])


def train_forest(folder: Path) -> TrainedModel:
    """Fit a forest of 100 trees on scikit-learn's breast-cancer data (30 named features) and save it with joblib."""
    data = sklearn.datasets.load_breast_cancer(as_frame=True)
    estimator = sklearn.ensemble.RandomForestClassifier(n_estimators=100, random_state=0).fit(
        data.data, data.target
    )
    path = folder / "forest.joblib"
    joblib.dump(estimator, path)
    rows = data.data.iloc[::71].to_numpy().tolist()
    return TrainedModel("forest", estimator, path, _digest(path), rows)


def _digest(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for model in (train_line(target), train_forest(target)):
        print(f"{model.path}  {model.digest}")
