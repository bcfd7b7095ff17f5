"""PyTorch: trained here, written by torch.export and TorchScript, loaded by our adapter. Run by `test_flavours`."""

import json
import pickle
import shutil
import warnings
import zipfile
from typing import Any

import numpy as np
import torch

from tests.integration.flavours import claims
from tests.integration.flavours.claims import FOLDER, claim, predict, same

warnings.simplefilter("ignore")
torch.manual_seed(0)
BATCH = torch.export.Dim("batch")
GENERATOR = np.random.default_rng(1)


class Cnn(torch.nn.Module):  # type: ignore[misc]
    """Images to the probabilities of three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layers(image).softmax(1)


class Rnn(torch.nn.Module):  # type: ignore[misc]
    """One step of a sequence and the state so far to an answer and the state after."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = torch.nn.GRUCell(4, 8)
        self.answer = torch.nn.Linear(8, 2)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> dict[str, torch.Tensor]:
        state = self.cell(x, h)
        return {"y": self.answer(state), "h": state}


class VaeDecoder(torch.nn.Module):  # type: ignore[misc]
    """A class and noise to an image."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3 + 5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 9))

    def forward(self, label: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.layers(torch.cat([label, noise], 1)).sigmoid()


class Centred(torch.nn.Module):  # type: ignore[misc]
    """Depends on who else is in the batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


class Evil:
    """Unpickled, it would leave a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(FOLDER / "harm"), "w"))


def train(model: torch.nn.Module, *inputs: torch.Tensor) -> torch.nn.Module:
    """A few real steps, so that the weights are no initial ones."""
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(3):
        answer = model(*inputs)
        loss = sum(one.square().mean() for one in (answer.values() if isinstance(answer, dict) else [answer]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def export(
    name: str, model: torch.nn.Module, inputs: dict[str, torch.Tensor], signature: object = None
) -> None:
    """Writes a .pt2 with a free number of rows."""
    shapes = {key: {0: BATCH} for key in inputs}
    program = torch.export.export(model, tuple(inputs.values()), dynamic_shapes=shapes)
    extra = {"signature.json": json.dumps(signature)} if signature else {}
    torch.export.save(program, FOLDER / name, extra_files=extra)


def rewritten(name: str, source: str, changes: dict[str, bytes]) -> None:
    """Writes an archive with some of its members replaced."""
    with zipfile.ZipFile(FOLDER / source) as old, zipfile.ZipFile(FOLDER / name, "w") as new:
        for info in old.infolist():
            inner = info.filename.partition("/")[2]
            new.writestr(info, changes.get(inner, old.read(info)))


def cnn() -> None:
    """A convolutional network, exported and scripted."""
    model = train(Cnn(), torch.randn(8, 1, 8, 8))
    export("cnn.pt2", model, {"image": torch.randn(2, 1, 8, 8)})
    torch.jit.trace(model, torch.randn(2, 1, 8, 8)).save(str(FOLDER / "cnn.pt"))
    images = GENERATOR.standard_normal((5, 1, 8, 8), dtype=np.float32)
    truth = model(torch.from_numpy(images)).detach().numpy()
    exported, scripted = claims.load("torch", "cnn.pt2"), claims.load("torch", "cnn.pt")
    claim(
        "an exported CNN predicts what PyTorch predicts",
        same(predict(exported, {"image": images})["predict"], truth),
    )
    claim(
        "a traced CNN predicts what PyTorch predicts",
        same(predict(scripted, {"image": images})["predict"], truth),
    )
    spec = exported.signature.inputs[0]
    claim(
        "names, types and shapes are the program's",
        (spec.name, spec.datatype, spec.shape) == ("image", "FP32", (-1, 1, 8, 8)),
    )
    claim("rows of a CNN may share a call", exported.signature.is_row_wise)
    claim(
        "64-bit floats of JSON are taken",
        same(predict(exported, {"image": images.astype(float)})["predict"], truth),
    )
    refused = claims.invalid(exported, {"image": images[:, :, :7]})
    claim("another shape is refused with the right one", "[-1, 1, 8, 8]" in refused or refused)
    claim("a missing input is refused by name", "'image' is missing" in claims.invalid(exported, {}))
    export("centred.pt2", Centred(), {"x": torch.randn(3, 2)})
    claim(
        "rows that depend on each other share no call",
        not claims.load("torch", "centred.pt2").signature.is_row_wise,
    )


def mlflow_folder() -> None:
    """What MLflow writes for serialization_format="pt2"; MLflow itself is in another environment."""
    (FOLDER / "logged" / "data").mkdir(parents=True)
    shutil.copy(FOLDER / "cnn.pt2", FOLDER / "logged" / "data" / "model.pt2")
    entry = f"{{model_data: data, pytorch_version: {torch.__version__}, code: null}}"
    (FOLDER / "logged" / "MLmodel").write_text(f"flavors:\n  pytorch: {entry}\n")
    images = GENERATOR.standard_normal((2, 1, 8, 8), dtype=np.float32)
    served, plain = claims.load("mlflow", "logged"), claims.load("torch", "cnn.pt2")
    answers = [predict(one, {"image": images})["predict"] for one in (served, plain)]
    claim("MLflow's pytorch flavour is the program in it", same(*answers) and served.warnings == ())


def rnn() -> None:
    """A hidden state that goes in and comes back, so that a client can carry a session."""
    model = train(Rnn(), torch.randn(8, 4), torch.zeros(8, 8))
    described = {"inputs": {"h": {"optional": "zeros"}}}
    export("rnn.pt2", model, {"x": torch.randn(2, 4), "h": torch.zeros(2, 8)}, described)
    torch.jit.script(model).save(
        str(FOLDER / "rnn.pt"),
        _extra_files={"signature.json": json.dumps({
            "inputs": {"x": {"shape": [-1, 4]}, "h": {"shape": [-1, 8], "optional": "zeros"}}, "outputs": ["y", "h"],
        })},
    )  # fmt: skip
    steps = GENERATOR.standard_normal((4, 1, 4), dtype=np.float32)
    state, truth = torch.zeros(1, 8), []
    for step in steps:
        answer = model(torch.from_numpy(step), state)
        state = answer["h"]
        truth.append(answer["y"].detach().numpy())
    np.savez(FOLDER / "rnn.npz", steps=steps, truth=np.stack(truth))
    for name in ("rnn.pt2", "rnn.pt"):
        served = claims.load("torch", name)
        answers: list[Any] = []
        carried: dict[str, Any] = {}
        for step in steps:
            answer = predict(served, {"x": step, **carried})
            carried = {"h": answer["h"]}
            answers.append(answer["y"])
        claim(f"a session of {name} is the sequence itself", same(np.stack(answers), np.stack(truth)))
        claim(f"rows of {name} may share a call", served.signature.is_row_wise)


def vae() -> None:
    """Noise from a seed, from nowhere, or given."""
    model = train(VaeDecoder(), torch.randn(8, 3), torch.randn(8, 5))
    described = {"inputs": {"noise": {"optional": "normal"}}}
    export("vae.pt2", model, {"label": torch.randn(2, 3), "noise": torch.randn(2, 5)}, described)
    served = claims.load("torch", "vae.pt2")
    label = np.eye(3, dtype=np.float32)
    noise = np.random.default_rng(7).standard_normal((3, 5), dtype=np.float32)
    truth = model(torch.from_numpy(label), torch.from_numpy(noise)).detach().numpy()
    np.savez(FOLDER / "vae.npz", label=label, noise=noise, truth=truth)
    claim(
        "a seed draws what NumPy draws from it",
        same(predict(served, {"label": label}, seed=7)["predict"], truth),
    )
    claim("noise may be given", same(predict(served, {"label": label, "noise": noise})["predict"], truth))
    claim(
        "another seed is other noise", not same(predict(served, {"label": label}, seed=8)["predict"], truth)
    )
    two = [predict(served, {"label": label})["predict"] for _ in range(2)]
    claim("without a seed each request has its own noise", not same(*two))
    claim(
        "a seed that is none is refused",
        "'seed' must be" in claims.invalid(served, {"label": label}, seed=-1),
    )
    claim("noise is drawn per request, so rows share no call", not served.signature.is_row_wise)
    claim("the signature tells of the seed", "seed" in served.signature.parameters)


def refusals() -> None:
    """What would run code is never loaded, and says what to do."""
    torch.save(Cnn(), FOLDER / "pickled.pt")
    claim("a pickled module is refused", "torch.export.save" in claims.refusal("torch", "pickled.pt"))
    with zipfile.ZipFile(FOLDER / "cnn.pt2") as archive:
        program = archive.read("cnn/models/model.json")
    parsed = json.loads(program)
    parsed["guards_code"] = [f"open({str(FOLDER / 'harm')!r}, 'w')"]
    rewritten("guards.pt2", "cnn.pt2", {"models/model.json": json.dumps(parsed).encode()})
    claims.load("torch", "guards.pt2")
    target = program.replace(b"torch.ops.aten.relu.default", b"torch.os.system", 1)
    rewritten("target.pt2", "cnn.pt2", {"models/model.json": target})
    claim("an operator that is none is refused", "torch.os.system" in claims.refusal("torch", "target.pt2"))
    rewritten("sample.pt2", "cnn.pt2", {"data/sample_inputs/model.pt": pickle.dumps(Evil())})
    claim("a pickle among the sample inputs is refused", claims.refusal("torch", "sample.pt2") != "")
    (FOLDER / "cut.pt2").write_bytes((FOLDER / "cnn.pt2").read_bytes()[:3000])
    claim("a file that was cut off is refused", "damaged" in claims.refusal("torch", "cut.pt2"))
    claim("nothing of it was run", not (FOLDER / "harm").exists())


cnn()
mlflow_folder()
rnn()
vae()
refusals()
claim("one thread is one thread", torch.get_num_threads() == 1)
claims.tell()
