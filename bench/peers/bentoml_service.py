"""A BentoML service around a scikit-learn model, as its documentation writes one. Run by `bentoml serve`.

`runtime_servers` starts it in its own environment.
"""

import os

import bentoml
import joblib
import numpy as np
import pandas as pd


@bentoml.service
class Predictor:
    """Two forms of one prediction: BentoML checks and converts what the annotations say."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["BENCH_MODEL"])

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Gives the predictions for rows of numbers."""
        predictions: np.ndarray = self.model.predict(rows)
        return predictions

    @bentoml.api
    def predict_columns(self, rows: pd.DataFrame) -> np.ndarray:
        """Gives the predictions for rows with names and text."""
        predictions: np.ndarray = self.model.predict(rows)
        return predictions
