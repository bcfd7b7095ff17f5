"""A LitServe server around a scikit-learn model, as its documentation writes one.

`runtime_servers` starts it in its own environment, with the port as its argument.
"""

import os
import sys
from typing import Any

import joblib
import litserve
import numpy as np
import pandas as pd


class SklearnAPI(litserve.LitAPI):
    """One model on the processor."""

    def setup(self, device: str) -> None:
        """Loads the model, in LitServe's worker process."""
        del device
        self.model = joblib.load(os.environ["BENCH_MODEL"])

    # LitServe asks the annotation what the body is; only without one is it plain JSON.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        """Gives the table for the rows of X."""
        rows = request["X"]
        return pd.DataFrame(rows) if isinstance(rows[0], dict) else np.asarray(rows)

    def predict(self, table: Any) -> Any:
        """Gives the predictions."""
        return self.model.predict(table)

    def encode_response(self, predictions: Any) -> dict[str, Any]:
        """Gives the answer."""
        return {"y_pred": predictions.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(SklearnAPI(), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
