"""The Flask application that most tutorials end with: unpickle, predict, jsonify. Run by gunicorn.

`runtime_servers` starts it in its own environment. It stays as a newcomer would write it; to tune it would be to
measure something else.
"""

import os
import pickle
from pathlib import Path

import flask
import pandas as pd

app = flask.Flask(__name__)
model = pickle.loads(Path(os.environ["BENCH_MODEL"]).read_bytes())  # noqa: S301 - our own file


@app.route("/predict", methods=["POST"])
def predict() -> flask.Response:
    """Answers the predictions for the rows of X, which are lists or, for a pipeline on columns, objects."""
    rows = flask.request.get_json()["X"]
    table = pd.DataFrame(rows) if isinstance(rows[0], dict) else rows
    return flask.jsonify({"y_pred": model.predict(table).tolist()})
