"""What the protocols' published clients get from a server; prints it as JSON.

Run in the clients' own environment: `client_calls.py <port> <model> <rows as JSON>`.
"""

import asyncio
import importlib
import json
import sys
from typing import Any

import numpy as np
import pandas as pd


def triton(port: int, model: str, rows: Any) -> dict[str, Any]:
    """The client of NVIDIA's Triton, in JSON, binary and compressed."""
    http = importlib.import_module("tritonclient.http")
    client = http.InferenceServerClient(f"127.0.0.1:{port}")
    found: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready()
        and client.is_model_ready(model)
        and client.is_model_ready(model, "1"),
        "extensions": client.get_server_metadata()["extensions"],
        "inputs": client.get_model_metadata(model)["inputs"],
    }
    for binary in (True, False):
        tensor = http.InferInput("X", list(rows.shape), "FP64")
        tensor.set_data_from_numpy(rows, binary_data=binary)
        output = http.InferRequestedOutput("predict_proba", binary_data=binary)
        answer = client.infer(model, [tensor], outputs=[output], request_id="7")
        found[f"id, binary {binary}"] = answer.get_response()["id"]
        found[f"probabilities, binary {binary}"] = answer.as_numpy("predict_proba").tolist()
        answer = client.infer(
            model, [tensor], request_compression_algorithm="gzip", response_compression_algorithm="gzip"
        )
        found[f"predictions, binary {binary}"] = answer.as_numpy("predict").tolist()
    return found


async def kserve(port: int, model: str, rows: Any) -> dict[str, Any]:
    """KServe's client, in both versions of the protocol."""
    sdk = importlib.import_module("kserve")
    address = f"http://127.0.0.1:{port}"
    found: dict[str, Any] = {}
    for protocol in ("v1", "v2"):
        client = sdk.InferenceRESTClient(sdk.inference_client.RESTConfig(protocol=protocol, retries=0))
        if protocol == "v2":
            found["ready"] = (
                await client.is_server_live(address)
                and await client.is_server_ready(address)
                and await client.is_model_ready(address, model)
            )
        else:
            found["ready, v1"] = await client.is_model_ready(address, model)
            answer = await client.infer(address, {"instances": rows.tolist()}, model_name=model)
            found["predictions, v1"] = answer["predictions"]
            continue
        for binary in (True, False):
            tensor = sdk.InferInput("input-0", list(rows.shape), "FP64")
            tensor.set_data_from_numpy(rows, binary_data=binary)
            parameters = {"binary_data_output": binary}
            request = sdk.InferRequest(model, [tensor], parameters=parameters)
            answer = await client.infer(address, request, model_name=model)
            found[f"predictions, v2, binary {binary}"] = answer.outputs[0].as_numpy().tolist()
    return found


def mlflow(port: int, rows: Any) -> dict[str, Any]:
    """MLflow's client, with a DataFrame."""
    scoring = importlib.import_module("mlflow.pyfunc.scoring_server.client")
    client = scoring.ScoringServerClient("127.0.0.1", port)
    client.wait_server_ready(timeout=30)
    answer = client.invoke(pd.DataFrame(rows))
    return {"predictions": np.ravel(answer.get_predictions()).tolist()}


if __name__ == "__main__":
    chosen_port, chosen_model = int(sys.argv[1]), sys.argv[2]
    given = np.array(json.loads(sys.argv[3]))
    print(
        json.dumps(
            {
                "triton": triton(chosen_port, chosen_model, given),
                "kserve": asyncio.run(kserve(chosen_port, chosen_model, given)),
                "mlflow": mlflow(chosen_port, given),
            }
        )
    )
