"""Each image flavour serves what its framework trained: the framework's own prediction is the truth.

A script per flavour trains real models in the flavour's own environment, saves them as its users do and loads them with
our adapter; what it claims comes back here, because pytest is not in that environment.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.integration.flavours import environments
from tests.integration.runtime import processes

# The script, and how many claims it has to come back with: one that ends early would claim too little.
FLAVOURS = {"catboost": 14, "keras": 22, "mlflow": 15, "torch": 26}


# The flavours whose models a client calls over HTTP, too: a session, and noise from a seed.
OVER_HTTP = ("keras", "torch")


def infer(
    server: processes.Serving, inputs: Mapping[str, npt.NDArray[Any]], **parameters: int
) -> dict[str, npt.NDArray[Any]]:
    """The outputs of one request in the Open Inference Protocol."""
    tensors = [
        {"name": name, "shape": list(array.shape), "datatype": "FP32", "data": array.ravel().tolist()}
        for name, array in inputs.items()
    ]
    body = {"inputs": tensors, "parameters": parameters}
    answer = server.client.post("/v2/models/m/infer", json=body)
    assert answer.status_code == 200, answer.text
    return {one["name"]: np.reshape(one["data"], one["shape"]) for one in answer.json()["outputs"]}


def check_session(server: processes.Serving, truth: Mapping[str, npt.NDArray[Any]]) -> None:
    """Carries the hidden state from answer to request, as a client of the RNN would."""
    carried: dict[str, npt.NDArray[Any]] = {}
    for step, expected in zip(truth["steps"], truth["truth"], strict=True):
        answer = infer(server, {"x": step, **carried})
        assert answer["y"] == pytest.approx(expected, rel=1e-4, abs=1e-5)
        carried = {"h": answer["h"].astype(np.float32)}


def check_noise(server: processes.Serving, truth: Mapping[str, npt.NDArray[Any]]) -> None:
    """Has the server draw the VAE's noise from a seed, and sends the same noise as a tensor."""
    for answer in (
        infer(server, {"label": truth["label"]}, seed=7),
        infer(server, {"label": truth["label"], "noise": truth["noise"]}),
    ):
        assert answer["predict"] == pytest.approx(truth["truth"], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_a_framework_trained_is_served_as_it_predicts(flavour: str, tmp_path: Path) -> None:
    claims = environments.claims(flavour, tmp_path)
    assert {text: found for text, found in claims.items() if found is not True} == {}
    assert len(claims) == FLAVOURS[flavour]
    if flavour in OVER_HTTP:
        for name, check in (("rnn", check_session), ("vae", check_noise)):
            (artifact,) = (one for one in (tmp_path / name, tmp_path / f"{name}.pt2") if one.exists())
            with environments.serving(flavour, tmp_path / f"serve-{name}", artifact) as server:
                check(server, np.load(tmp_path / f"{name}.npz"))
