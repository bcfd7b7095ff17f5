"""Models with code of their own: the examples of docs/custom-models.md, run; and who may not run them."""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import adapters, custom
from modelyard_runtime.formats import model as models

MODEL_PY, ADAPTER = re.findall(r"```python\n(.*?)```", Path("docs/custom-models.md").read_text(), re.DOTALL)
ALLOWED = models.LoadOptions(allows_code=True)


@pytest.fixture(autouse=True)
def _own_modules() -> Iterator[None]:
    """What an artifact puts on the path is gone after the test, as it is after the process."""
    paths, modules = [*sys.path], {*sys.modules}
    yield
    sys.path[:] = paths
    for name in {*sys.modules} - modules:
        del sys.modules[name]


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(MODEL_PY)
    (tmp_path / "weights.json").write_text("[1, 2, 0.5]")
    return tmp_path


def predict(model: models.Model, **parameters: models.Scalar) -> dict[str, Any]:
    rows = np.array([[0.1, 0.2, 0.4], [1.0, 1.0, 1.0]])
    return dict(model.predict({"x": rows}, model.signature.default_outputs, parameters))


def refusal(path: Path, options: models.LoadOptions = ALLOWED) -> str:
    with pytest.raises(errors.StartFailure) as failed:
        custom.load(path, options)
    assert failed.value.reason is errors.Reason.LOAD_FAILED
    return failed.value.message


def test_the_documented_class_is_served(artifact: Path) -> None:
    model = adapters.load("custom", artifact, ALLOWED)
    answer = predict(model)
    assert answer["score"].tolist() == pytest.approx([0.7, 3.5])
    assert answer["sure"].tolist() == [False, True]
    assert predict(model, threshold=0.5)["sure"].tolist() == [True, True]
    assert model.signature.inputs == (models.TensorSpec("x", "FP64", (-1, 3)),)
    assert model.signature.is_row_wise


def test_code_runs_only_where_it_is_allowed(artifact: Path) -> None:
    (artifact / "model.py").write_text(f"open({str(artifact / 'ran')!r}, 'w')")
    words = refusal(artifact, models.DEFAULT_OPTIONS)
    assert "MODELYARD_ALLOW_CODE=false" in words
    assert "allowCode" in words
    assert not (artifact / "ran").exists()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "defines no class Model"),
        ("import nowhere_to_be_found", "'nowhere_to_be_found', which this image doesn't have"),
        ("raise ValueError('no weights')", "model.py raised ValueError: no weights (model.py, line 1)"),
        ("raise SystemExit(3)", "model.py raised SystemExit"),
        ("class Model:\n    def __init__(self, folder):\n        1 / 0", "division by zero (model.py, line 3)"),
        ("class Model:\n    def __init__(self, folder): pass", "has no predict method"),
        ("class Model:\n    signature = {'input': []}\n    def __init__(self, folder): pass\n    predict = print",
         "unknown field `input`"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_class_is_said_with_its_place(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "model.py").write_text(source)
    assert words in refusal(tmp_path)


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ("raise ValueError('x is too large')", errors.InvalidInput, "x is too large"),
        ("raise KeyError('gone')", errors.ModelFailed, "KeyError"),
        ("return {'other': 1}", errors.ModelFailed, "gave no output 'predict'"),
    ],
)
def test_whose_mistake_it_is(tmp_path: Path, body: str, error: type[Exception], words: str) -> None:
    (tmp_path / "model.py").write_text(
        f"class Model:\n    def __init__(self, folder): pass\n    def predict(self, inputs):\n        {body}\n"
    )
    model = custom.load(tmp_path, ALLOWED)
    with pytest.raises(error, match=words):
        model.predict({models.TABLE: np.zeros((1, 2))}, frozenset({models.PREDICTION}), {})


def test_the_documented_adapter_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A distribution as pip would have installed it: the module, and metadata that name the entry point.
    site, metadata = tmp_path / "site", tmp_path / "site" / "acme_lookup-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "acme_lookup.py").write_text(ADAPTER)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-lookup\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{adapters.ENTRY_POINT_GROUP}]\nlookup = acme_lookup\n")
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    (tmp_path / "prices.lookup").write_text(json.dumps({"a": 1.5}))
    model = adapters.load("custom", tmp_path / "prices.lookup", models.DEFAULT_OPTIONS)
    keys = np.array(["a", "b"], dtype=object)
    assert model.predict({"key": keys}, frozenset({"value"}), {})["value"].tolist() == pytest.approx(
        [1.5, np.nan], nan_ok=True
    )
    (tmp_path / "prices.txt").write_text("")
    assert "no adapter of its own that takes it" in refusal(tmp_path / "prices.txt", models.DEFAULT_OPTIONS)
