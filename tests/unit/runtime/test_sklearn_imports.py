"""What scikit-learn imports late: the same answers, no pandas or scipy.stats before somebody needs them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn.gaussian_process
import sklearn.isotonic
import sklearn.neighbors

from modelyard_runtime.formats import sklearn_imports
from tests.support import estimators as kinds

# A process that has imported nothing yet loads every model and answers as a server would.
_ANSWERING = """
import json, sys
from pathlib import Path
from modelyard_runtime.formats import adapters
from modelyard_runtime.formats import model as models
import numpy as np

folder = Path(sys.argv[1])
rows = {name: np.load(folder / f"{name}.npy", allow_pickle=True) for name in ("X", "PEOPLE")}
found = {}
for file in sorted(folder.glob("*.joblib")):
    model = adapters.load("sklearn", file, models.DEFAULT_OPTIONS)
    table = rows["PEOPLE" if file.name.startswith("mixed") else "X"]
    answers = model.predict({models.TABLE: table}, model.signature.default_outputs, models.NO_PARAMETERS)
    found[file.stem] = {name: np.asarray(array).tolist() for name, array in answers.items()}
    if len(found) == 1:
        first = sorted(sys.modules)
print(json.dumps({"answers": found, "modules": first}))
"""
_OTHERS: dict[str, Any] = {  # whose predictions do ask for what is imported late
    "normal quantiles": lambda: kinds.pipe(
        kinds.prep.QuantileTransformer(n_quantiles=20, output_distribution="normal"), kinds.logistic()
    ),
    "power": lambda: kinds.pipe(kinds.prep.PowerTransformer(), kinds.logistic()),
    "splines": lambda: kinds.pipe(kinds.prep.SplineTransformer(), kinds.logistic()),
    "neighbours": lambda: sklearn.neighbors.KNeighborsClassifier(metric="cosine"),
    "gaussian process": sklearn.gaussian_process.GaussianProcessRegressor,
    "gamma": kinds.linear.GammaRegressor,
}

_OF_NUMPY = ("numpy.f2py", "numpy.testing")


def _answered(folder: Path, models: dict[str, Any]) -> dict[str, Any]:
    """What a new process answers with these fitted models, and what it has imported for the first."""
    for name, model in models.items():
        joblib.dump(model, folder / f"{name}.joblib")
    np.save(folder / "X.npy", kinds.X[:7])
    np.save(folder / "PEOPLE.npy", kinds.PEOPLE[:7].to_numpy(dtype=object), allow_pickle=True)
    done = subprocess.run(
        [sys.executable, "-c", _ANSWERING, folder], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_kind_of_model_answers_alike_with_late_imports(tmp_path: Path) -> None:
    models: dict[str, Any] = {}
    for name, make in (kinds.CLASSIFIERS | _OTHERS).items():
        target = np.exp(kinds.VALUES / 20) if name == "gamma" else kinds.CLASSES
        models[f"plain {name}"] = make().fit(kinds.X, target)
    for name, make in kinds.REGRESSORS.items():
        models[f"plain regression {name}"] = make().fit(kinds.X, kinds.VALUES)
    for name, make in kinds.MIXED.items():
        models[f"mixed {name}"] = make().fit(kinds.PEOPLE, kinds.LABELS)
    answers = _answered(tmp_path, models)["answers"]
    assert sorted(answers) == sorted(models)
    for name, model in models.items():
        rows = kinds.PEOPLE[:7] if name.startswith("mixed") else kinds.X[:7]
        (told,) = answers[name].values()
        expected = model.predict(rows)
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(told, expected, rtol=1e-9, err_msg=name)
        else:
            assert told == expected.tolist(), name


def test_a_prediction_from_plain_numbers_needs_neither_pandas_nor_statistics(tmp_path: Path) -> None:
    model = kinds.CLASSIFIERS["scaler and regression"]().fit(kinds.X, kinds.CLASSES)
    found = _answered(tmp_path, {"plain": model})
    assert found["answers"]["plain"]["predict"] == model.predict(kinds.X[:7]).tolist()
    assert "sklearn.linear_model" in found["modules"]
    assert {*sklearn_imports.LATE, *_OF_NUMPY} & set(found["modules"]) == set()


_HSV = (0.0, 1.0, 1.0)
_FORMS = {
    "a module": ("import colorsys\ndef ask(): return colorsys.rgb_to_hsv(1, 0, 0)", _HSV),
    "a module by another name": (
        "import colorsys as other\ndef ask(): return other.rgb_to_hsv(1, 0, 0)",
        _HSV,
    ),
    "names": ("from colorsys import rgb_to_hsv, hsv_to_rgb\ndef ask(): return rgb_to_hsv(1, 0, 0)", _HSV),
    "modules of a package": (
        "from xml.sax import handler, saxutils\ndef ask(): return saxutils.escape('<')",
        "&lt;",
    ),
    "a class": ("from wave import Wave_read\ndef ask(): return isinstance(1, Wave_read)", False),
    "a class and another": (
        "from wave import Wave_read\ndef ask(): return issubclass(int, Wave_read)",
        False,
    ),
}
_STANDARD = frozenset({"colorsys", "xml.sax.saxutils", "wave"})


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of the standard library in the place of SciPy's, as if nobody had imported them."""
    for name in _STANDARD:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sklearn_imports, "LATE", _STANDARD)


def _run(text: str, folder: Path) -> dict[str, Any]:
    file = folder / "probe.py"
    file.write_text(text)
    loader = sklearn_imports._Loader("probe", str(file))
    module = type(sys)("probe")
    loader.exec_module(module)
    return vars(module)


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("form", _FORMS)
def test_a_name_is_imported_when_it_is_used_and_does_the_same(form: str, tmp_path: Path) -> None:
    text, expected = _FORMS[form]
    found = _run(text, tmp_path)
    assert not _STANDARD & set(sys.modules)
    assert [found["ask"](), found["ask"]()] == [expected, expected]
    assert _STANDARD & set(sys.modules)


@pytest.mark.usefixtures("late")
def test_a_class_may_be_derived_from_what_is_imported_late(tmp_path: Path) -> None:
    found = _run(
        "from wave import Wave_read\nclass Ours(Wave_read): pass\ndef ask(): return Ours.__mro__[1]", tmp_path
    )
    assert found["ask"]() is sys.modules["wave"].Wave_read


@pytest.mark.usefixtures("late")
def test_an_import_within_a_function_gives_the_real_thing(tmp_path: Path) -> None:
    found = _run("def ask():\n    from colorsys import ONE_THIRD\n    return ONE_THIRD", tmp_path)
    assert type(found["ask"]()) is float


def test_what_is_not_installed_is_missing_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sklearn_imports, "LATE", frozenset({"nowhere_to_be_found"}))
    with pytest.raises(ModuleNotFoundError):
        _run("import nowhere_to_be_found", tmp_path)
