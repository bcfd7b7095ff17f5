"""Fills an MLflow tracking server as its users do, run by the Python that has MLflow.

Arguments: the server's URL, an S3 bucket, a folder, and addresses of files.
The registered model `iris` gets a version of a logged model that the server passes on (alias `champion`), one of a
logged model in S3, and versions for the further addresses that are given. Prints the names that were made.
"""

import json
import sys

import mlflow
import numpy as np
from sklearn.linear_model import LogisticRegression


def log(experiment: str) -> dict[str, str]:
    """Log a fitted model and some other artifacts; gives the run's and the model's ids."""
    mlflow.set_experiment(experiment)
    values = np.arange(80.0).reshape(20, 4)
    fitted = LogisticRegression(max_iter=10_000).fit(values, np.arange(20) % 2)
    with mlflow.start_run() as run:
        # The requirements given: to find them out, MLflow would load the model in a process of its own.
        logged = mlflow.sklearn.log_model(
            fitted, name="model", registered_model_name="iris", pip_requirements=["scikit-learn"]
        )
        mlflow.log_dict({"inputs": [[1.0, 2.0, 3.0, 4.0]]}, "plain/a b.json")
        mlflow.log_text("notes", "plain/deep/notes.txt")
    return {"run": run.info.run_id, "model": logged.model_id}


def main(url: str, bucket: str, local: str, *sources: str) -> None:
    """Fill the server at `url`."""
    mlflow.set_tracking_uri(url)
    client = mlflow.MlflowClient()
    client.create_experiment("proxied")
    client.create_experiment("bucket", artifact_location=f"s3://{bucket}/mlflow")
    found = {"proxied": log("proxied"), "bucket": log("bucket")}
    client.set_registered_model_alias("iris", "champion", "1")
    for source in sources:
        client.create_model_version("iris", source)
    client.create_experiment("local", artifact_location=f"file://{local}")
    mlflow.set_experiment("local")
    with mlflow.start_run() as kept:
        mlflow.log_text("notes", "model/notes.txt")
    with mlflow.start_run() as deleted:
        pass
    client.delete_run(deleted.info.run_id)
    print(json.dumps({**found, "local": kept.info.run_id, "deleted": deleted.info.run_id}))


main(*sys.argv[1:])
