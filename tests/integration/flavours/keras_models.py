"""Keras 3: trained here, saved as .keras, loaded by our adapter. Run by `test_flavours`."""

import json
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import keras
import numpy as np

from tests.integration.flavours import claims
from tests.integration.flavours.claims import FOLDER, claim, predict, same

warnings.simplefilter("ignore")
keras.utils.set_random_seed(0)
GENERATOR = np.random.default_rng(1)


def normal(*shape: int) -> Any:
    """Random inputs."""
    return GENERATOR.standard_normal(shape, dtype=np.float32)


def folder(name: str, model: keras.Model, signature: object = None) -> None:
    """Saves a model in a folder of its own, with its signature.json."""
    (FOLDER / name).mkdir()
    model.save(FOLDER / name / "model.keras")
    if signature:
        (FOLDER / name / "signature.json").write_text(json.dumps(signature))


def cnn() -> None:
    """A convolutional network with dropout, which is off when it serves."""
    image = keras.Input((8, 8, 1), name="image")
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dropout(0.5)]
    hidden = image
    for layer in layers:
        hidden = layer(hidden)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(normal(16, 8, 8, 1), GENERATOR.integers(0, 3, 16), epochs=2, verbose=0)
    folder("cnn", model)
    served = claims.load("keras", "cnn")
    images = normal(7, 8, 8, 1)
    truth = model.predict(images, verbose=0)
    for rows in (1, 3, 7):
        answer = predict(served, {"image": images[:rows]})["predict"]
        claim(f"{rows} images are what Keras predicts", same(answer, truth[:rows]))
    claim("rows of a CNN may share a call", served.signature.is_row_wise)
    refused = claims.invalid(served, {"image": images[:, :7]})
    claim("another shape is refused with the right one", "[-1, 8, 8, 1]" in refused or refused)


def sequential() -> None:
    """A Sequential, which knows its inputs by way of a model within it."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(normal(16, 4), normal(16, 2), verbose=0)
    folder("sequential", model)
    rows = normal(3, 4)
    served = claims.load("keras", "sequential")
    (spec,) = served.signature.inputs
    claim(
        "a Sequential predicts what Keras predicts",
        same(predict(served, {spec.name: rows})["predict"], model.predict(rows, verbose=0)),
    )


def rnn() -> None:
    """A hidden state that goes in and comes back."""
    x, h = keras.Input((1, 4), name="x"), keras.Input((8,), name="h")
    output, state = keras.layers.GRU(8, return_state=True)(x, initial_state=h)
    model = keras.Model({"x": x, "h": h}, {"y": keras.layers.Dense(2)(output), "h": state})
    folder("rnn", model, {"inputs": {"h": {"optional": "zeros"}}})
    served = claims.load("keras", "rnn")
    state = np.zeros((1, 8), np.float32)
    carried: dict[str, Any] = {}
    agree: list[bool] = []
    steps = normal(4, 1, 1, 4)
    answers = []
    for step in steps:
        truth = model.predict({"x": step, "h": state}, verbose=0)
        answer = predict(served, {"x": step, **carried})
        state, carried = truth["h"], {"h": answer["h"]}
        agree.append(same(answer["y"], truth["y"]))
        answers.append(truth["y"])
    np.savez(FOLDER / "rnn.npz", steps=steps, truth=np.stack(answers))
    claim("a session is the sequence itself", all(agree))
    claim("outputs have the names of the model", {one.name for one in served.signature.outputs} == {"y", "h"})


def vae() -> None:
    """Noise from a seed, or given."""
    label, noise = keras.Input((3,), name="label"), keras.Input((5,), name="noise")
    hidden = keras.layers.Dense(16, activation="tanh")(keras.layers.Concatenate()([label, noise]))
    model = keras.Model([label, noise], keras.layers.Dense(9, activation="sigmoid")(hidden))
    folder("vae", model, {"inputs": {"noise": {"optional": "normal"}}})
    served = claims.load("keras", "vae")
    given = np.random.default_rng(7).standard_normal((3, 5), dtype=np.float32)
    labels = np.eye(3, dtype=np.float32)
    truth = model.predict([labels, given], verbose=0)
    np.savez(FOLDER / "vae.npz", label=labels, noise=given, truth=truth)
    claim(
        "a seed draws what NumPy draws from it",
        same(predict(served, {"label": labels}, seed=7)["predict"], truth),
    )
    claim("noise may be given", same(predict(served, {"label": labels, "noise": given})["predict"], truth))
    claim("noise is drawn per request, so rows share no call", not served.signature.is_row_wise)


def refusals() -> None:
    """A Lambda layer is Python code."""
    x = keras.Input((2,))
    folder("lambda", keras.Model(x, keras.layers.Lambda(lambda value: value * 2)(x)))
    refused = claims.refusal("keras", "lambda")
    claim("a Lambda layer is refused with the remedy", "layer of Keras' own" in refused or refused)
    # The form before .keras: its loader has been known to forget the safe mode.
    (FOLDER / "legacy").mkdir()
    keras.Model(x, keras.layers.Lambda(lambda value: value * 2)(x)).save(FOLDER / "legacy/model.h5")
    refused = claims.refusal("keras", "legacy")
    claim("a file of the form before .keras never reaches Keras", "HDF5" in refused or refused)
    _configured()


def _configured() -> None:
    """A .keras file is configuration that names classes and functions, with their arguments."""
    sentinel = FOLDER / "sentinel"
    named = {
        "a function of Python": ("os", "system", "function", f"touch {sentinel}"),
        "a class of Python": ("subprocess", "Popen", "Popen", {"args": ["touch", str(sentinel)]}),
        "a function of Keras that fetches files": ("keras.utils", "get_file", "function", "get_file"),
        "a function that allows code": ("keras.config", "enable_unsafe_deserialization", "function", "x"),
        "a function of NumPy": ("numpy", "load", "function", "load"),
    }
    x = keras.Input((2,))
    plain = FOLDER / "plain.keras"
    keras.Model(x, keras.layers.Dense(1, activation="relu")(x)).save(plain)
    for number, (what, (module, name, kind, config)) in enumerate(named.items()):
        told = {"module": module, "class_name": kind, "config": config, "registered_name": name}
        (FOLDER / f"named{number}").mkdir()
        _rewritten(plain, FOLDER / f"named{number}/model.keras", told)
        refused = claims.refusal("keras", f"named{number}")
        claim(f"{what} is refused where a layer names it", "can't be loaded" in refused or refused)
    claim("nothing that a file named has run", not sentinel.exists())


def _rewritten(source: Path, target: Path, activation: object) -> None:
    """Copies a model with another activation in its configuration."""
    with zipfile.ZipFile(source) as read, zipfile.ZipFile(target, "w") as written:
        for member in read.namelist():
            content = read.read(member)
            if member == "config.json":
                config = json.loads(content)
                config["config"]["layers"][-1]["config"]["activation"] = activation
                content = json.dumps(config).encode()
            written.writestr(member, content)


def mlflow_folder() -> None:
    """What MLflow saves of a Keras model, served without MLflow."""
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)]
    )
    claims.mlflow_flavour("keras").save_model(model, str(FOLDER / "mlflow"), pip_requirements=["numpy"])
    served = claims.load("mlflow", "mlflow")
    claim(
        "MLflow's folder is served by Keras's adapter",
        (served.format, served.engine) == ("keras", "Keras on JAX"),
    )
    rows = normal(5, 3)
    (answer,) = predict(served, {served.signature.inputs[0].name: rows}).values()
    claim("it predicts what Keras predicts", same(answer, model.predict(rows, verbose=0)))
    claim("the version that wrote it is the one here", served.warnings == () or str(served.warnings))


cnn()
sequential()
mlflow_folder()
rnn()
vae()
refusals()
claims.tell()
