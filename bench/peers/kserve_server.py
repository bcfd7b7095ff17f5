"""KServe's scikit-learn server on KServe's SDK: `sklearnserver` itself is not published as a package.

`runtime_servers` starts it in its own environment, with KServe's own flags. What KServe does between the request and
`predict` is in the SDK, and it is the SDK's own functions that turn bodies into arrays and back.
"""

import os
from typing import Any

import joblib
import kserve
from kserve.utils import utils


class SklearnModel(kserve.Model):
    """A scikit-learn model behind both of KServe's protocols."""

    def load(self) -> bool:
        """Loads the model and says that it is ready."""
        self.estimator = joblib.load(os.environ["BENCH_MODEL"])
        self.ready = True
        return True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Gives the predictions in the protocol of the request."""
        del headers, response_headers
        table = utils.get_predict_input(payload)
        return utils.get_predict_response(payload, self.estimator.predict(table), self.name)


if __name__ == "__main__":
    served = SklearnModel("bench")
    served.load()
    kserve.ModelServer().start([served])
