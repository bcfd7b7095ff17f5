"""The administrator's rule decides which pickles load, and which of them are checked."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import pytest
import yaml
from sklearn.linear_model import LinearRegression

from modelyard_runtime import errors, loading, settings
from modelyard_runtime.formats import adapters
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats.pickles import names, rule

ROWS = [[0.0], [1.0], [2.0]]
SERVE = {"MODELYARD_MODEL_NAME": "m"}


class Own(LinearRegression):  # type: ignore[misc]
    """A class that no list knows."""


def _artifact(folder: Path, kind: type[LinearRegression]) -> Path:
    joblib.dump(kind().fit(ROWS, [0.0, 1.0, 2.0]), folder / "model.joblib")
    return folder / "model.joblib"


def _refusal(load: Any, *arguments: Any) -> str:
    with pytest.raises(errors.StartFailure) as caught:
        load(*arguments)
    assert caught.value.reason is errors.Reason.PICKLE_REFUSED
    return caught.value.message


# rule, pinned, loads an estimator, loads a class of one's own
CASES: tuple[tuple[rule.Rule, bool, bool, bool], ...] = (
    (rule.Rule.RESTRICTED, False, True, False),
    (rule.Rule.RESTRICTED, True, True, True),
    (rule.Rule.PINNED, False, False, False),
    (rule.Rule.PINNED, True, True, True),
    (rule.Rule.NEVER, False, False, False),
    (rule.Rule.NEVER, True, False, False),
    (rule.Rule.ANY, False, True, True),
)


@pytest.mark.parametrize(("one", "is_pinned", "loads_listed", "loads_own"), CASES)
def test_each_rule_loads_what_it_says(
    one: rule.Rule, is_pinned: bool, loads_listed: bool, loads_own: bool, tmp_path: Path
) -> None:
    for kind, loads in ((LinearRegression, loads_listed), (Own, loads_own)):
        file = _artifact(tmp_path, kind)
        # Code is another permission, and none to load a pickle.
        options = models.LoadOptions(pickle_rule=one, is_pinned=is_pinned, allows_code=True)
        if loads:
            assert adapters.load("sklearn", file, options).signature.features is not None
        else:
            message = _refusal(adapters.load, "sklearn", file, options)
            assert "'model.joblib'" in message
            assert one.value in message
            assert str(tmp_path) not in message


def test_what_is_refused_is_named_with_the_remedy(tmp_path: Path) -> None:
    message = _refusal(adapters.load, "sklearn", _artifact(tmp_path, Own), models.DEFAULT_OPTIONS)
    assert f"{Own.__module__}.Own is not allowed" in message
    assert "nothing of it was run" in message
    assert "spec.model.digest" in message


def _pyfunc(folder: Path, entry: dict[str, str]) -> Path:
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": entry}}))
    return folder


def test_the_object_of_a_python_function_is_a_pickle_too(tmp_path: Path) -> None:
    folder = _pyfunc(tmp_path, {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"})
    for one in (rule.Rule.NEVER, rule.Rule.PINNED):
        options = models.LoadOptions(allows_code=True, pickle_rule=one)
        assert one.value in _refusal(adapters.load, "mlflow", folder, options)
    for one, is_pinned in ((rule.Rule.RESTRICTED, False), (rule.Rule.PINNED, True)):
        options = models.LoadOptions(allows_code=True, pickle_rule=one, is_pinned=is_pinned)
        with pytest.raises(errors.StartFailure) as caught:  # this image has no MLflow
            adapters.load("mlflow", folder, options)
        assert caught.value.reason is errors.Reason.FORMAT_UNKNOWN


def test_a_python_function_of_source_is_none(tmp_path: Path) -> None:
    folder = _pyfunc(tmp_path, {"loader_module": "mlflow.pyfunc.model", "model_code_path": "model.py"})
    with pytest.raises(errors.StartFailure) as caught:
        adapters.load("mlflow", folder, models.LoadOptions(allows_code=True, pickle_rule=rule.Rule.NEVER))
    assert caught.value.reason is errors.Reason.FORMAT_UNKNOWN


def test_mlflows_scikit_learn_flavour_is_checked(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Own().fit(ROWS, [0.0, 1.0, 2.0])))
    entry = {"pickled_model": "model.pkl", "sklearn_version": "1.9.1"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": entry}}))
    assert "Own is not allowed" in _refusal(adapters.load, "mlflow", tmp_path, models.DEFAULT_OPTIONS)


@pytest.mark.parametrize("read", [settings.serve_settings, settings.prepare_settings])
def test_the_rule_and_the_pin_come_from_the_environment(read: Any) -> None:
    assert [*settings.PICKLE_RULES] == [one.value for one in rule.Rule]
    options = loading.load_options(read(SERVE))
    assert (options.pickle_rule, options.is_pinned) == (rule.Rule.RESTRICTED, False)
    digest = "sha256:" + "0" * 64
    options = loading.load_options(
        read({**SERVE, "MODELYARD_PICKLE_RULE": "Never", "MODELYARD_MODEL_DIGEST": digest})
    )
    assert (options.pickle_rule, options.is_pinned) == (rule.Rule.NEVER, True)
    with pytest.raises(errors.StartFailure, match="MODELYARD_PICKLE_RULE"):
        read({**SERVE, "MODELYARD_PICKLE_RULE": "never"})


@pytest.mark.parametrize(
    "full",
    ["sklearn.linear_model._base.LinearRegression", "sklearn.tree._tree.Tree", "numpy.log1p", "numpy.dtype",
     "scipy.sparse._csr.csr_matrix", "pandas.DataFrame", "xgboost.core.Booster", "lightgbm.sklearn.LGBMClassifier",
     "sklearn.metrics._classification.accuracy_score", "sklearn.metrics._dist_metrics.EuclideanDistance32"],
)  # fmt: skip
def test_the_list_knows(full: str) -> None:
    module, _, name = full.rpartition(".")
    assert names.rule_of(module, name) is not None


@pytest.mark.parametrize(
    "full",
    ["builtins.eval", "builtins.getattr", "numpy.load", "numpy.vectorize", "sklearn.utils.Bunch", "xsklearn.svm.SVC",
     "sklearn.svm.SVCx.y", "sklearn.svm.tests.test_svm.SVC", "sklearn.datasets._base.Bunch",
     "sklearn.base.BaseEstimator", "sklearn.metrics._dist_metrics.PyFuncDistance", "sklearn.metrics._scorer.get_scorer",
     "sklearn.svm.\nSVC", "sklearn.svm._classes.svc",
     "joblib.numpy_pickle_compat.NDArrayWrapper", "scipy.stats._continuous_distns.norm_gen"],
)  # fmt: skip
def test_the_list_does_not_know(full: str) -> None:
    module, _, name = full.rpartition(".")
    assert names.rule_of(module, name) is None


def test_a_refused_name_is_not_imported(tmp_path: Path) -> None:
    """Not even to find out what it is; `antigravity` would open a browser, and stays outside."""
    (tmp_path / "model.pkl").write_bytes(b"cantigravity\nfly\n(tR.")
    (tmp_path / "other.pkl").write_bytes(b"csklearn.svm._classes\nSVC\n)\x81cthis\ns\n(tR.")
    program = (
        "import json, pathlib, sys\n"
        "from modelyard_runtime.formats.pickles import machine, refusal, stream\n"
        "for name in ('model.pkl', 'other.pkl'):\n"
        "    with stream.Stream(pathlib.Path(sys.argv[1]) / name) as opened:\n"
        "        try:\n"
        "            machine.Machine(opened).check()\n"
        "        except refusal.Refused: pass\n"
        "print(json.dumps([*sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        capture_output=True,
        check=True,
        timeout=60,
        env=dict(os.environ),
    )
    imported = set(json.loads(done.stdout))
    assert imported.isdisjoint({"antigravity", "this", "sklearn", "numpy", "joblib"})
