"""One prediction in the words of each server: what to send where, and which values an answer holds. Pure.

Used by `runtime_servers` and `runtime_measures`. A table is a NumPy array, or a list of objects by column name for a
pipeline that was fitted on a DataFrame.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

MODEL = "bench"
Rows = npt.NDArray[np.float64] | list[dict[str, Any]]
_V2_PATH = f"/v2/models/{MODEL}/infer"


@dataclasses.dataclass(frozen=True)
class Question:
    """An HTTP POST."""

    path: str
    body: bytes
    headers: dict[str, str] = dataclasses.field(default_factory=lambda: {"content-type": "application/json"})


@dataclasses.dataclass(frozen=True)
class Wording:
    """How a server wants to be asked.

    Attributes:
        ask: rows to request.
        read: body and headers (lower-case names) of an answer to the predictions.
    """

    ask: Callable[[Rows], Question]
    read: Callable[[bytes, dict[str, str]], list[Any]]


def _listed(rows: Rows) -> list[Any]:
    return rows if isinstance(rows, list) else rows.tolist()


def _ask_predict(rows: Rows) -> Question:
    return Question("/predict", json.dumps({"X": _listed(rows)}).encode())


def _ask_v1(rows: Rows) -> Question:
    # KServe makes a DataFrame of each instance, and so wants a list of objects where one object would do.
    instances = [[row] for row in rows] if isinstance(rows, list) else rows.tolist()
    return Question(f"/v1/models/{MODEL}:predict", json.dumps({"instances": instances}).encode())


def _ask_bentoml(rows: Rows) -> Question:
    path = "/predict_columns" if isinstance(rows, list) else "/predict"
    return Question(path, json.dumps({"rows": _listed(rows)}).encode())


def _ask_v2(rows: Rows) -> Question:
    if not isinstance(rows, list):
        tensor = {"name": "X", "shape": list(rows.shape), "datatype": "FP64", "data": rows.ravel().tolist()}
        return Question(_V2_PATH, json.dumps({"inputs": [tensor]}).encode())
    inputs = [_column(name, [row[name] for row in rows]) for name in rows[0]]
    # MLServer and KServe take columns for a DataFrame when they are told that these are pandas'.
    return Question(_V2_PATH, json.dumps({"parameters": {"content_type": "pd"}, "inputs": inputs}).encode())


def _column(name: str, values: list[Any]) -> dict[str, Any]:
    column = {"name": name, "shape": [len(values), 1], "data": values}
    if isinstance(values[0], str):
        return column | {"datatype": "BYTES", "parameters": {"content_type": "str"}}
    return column | {"datatype": "FP64"}


def _ask_v2_binary(rows: Rows) -> Question:
    if isinstance(rows, list):
        raise TypeError("only numbers are sent in binary here")
    data = np.ascontiguousarray(rows).tobytes()
    tensor = {
        "name": "X",
        "shape": list(rows.shape),
        "datatype": "FP64",
        "parameters": {"binary_data_size": len(data)},
    }
    head = json.dumps({"parameters": {"binary_data_output": True}, "inputs": [tensor]}).encode()
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(head)),
    }
    return Question(_V2_PATH, head + data, headers)


def _read_predict(body: bytes, headers: dict[str, str]) -> list[Any]:
    del headers
    values: list[Any] = json.loads(body)["y_pred"]
    return values


def _read_v1(body: bytes, headers: dict[str, str]) -> list[Any]:
    del headers
    values: list[Any] = json.loads(body)["predictions"]
    return values


def _read_list(body: bytes, headers: dict[str, str]) -> list[Any]:
    del headers
    values: list[Any] = json.loads(body)
    return values


def _read_v2(body: bytes, headers: dict[str, str]) -> list[Any]:
    size = int(headers.get("inference-header-content-length", len(body)))
    output = json.loads(body[:size])["outputs"][0]
    if "data" in output:
        values: list[Any] = output["data"]
        return values
    dtype = {"INT64": "<i8", "INT32": "<i4", "FP64": "<f8", "FP32": "<f4"}[output["datatype"]]
    decoded: list[Any] = np.frombuffer(
        body[size : size + output["parameters"]["binary_data_size"]], dtype
    ).tolist()
    return decoded


PREDICT = Wording(_ask_predict, _read_predict)
V1 = Wording(_ask_v1, _read_v1)
V2 = Wording(_ask_v2, _read_v2)
V2_BINARY = Wording(_ask_v2_binary, _read_v2)
BENTOML = Wording(_ask_bentoml, _read_list)


def differs(values: list[Any], truth: list[Any]) -> str | None:
    """Give in words how an answer differs from the truth, or None: classes are equal, numbers within 1e-6 relative."""
    flat = np.asarray(values).ravel().tolist()
    if len(flat) != len(truth):
        return f"it has {len(flat)} values, not {len(truth)}"
    for row, (value, expected) in enumerate(zip(flat, truth, strict=True)):
        same = (
            bool(np.isclose(value, expected, rtol=1e-6, atol=1e-9))
            if isinstance(expected, float) and isinstance(value, int | float)
            else value == expected
        )
        if not same:
            return f"row {row} is {value!r}, scikit-learn says {expected!r}"
    return None
