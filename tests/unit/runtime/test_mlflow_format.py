"""MLflow folders of the flavours that the default image serves; what MLflow itself writes is in the flavours' tests."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
import yaml
from sklearn.linear_model import LinearRegression

from modelyard_runtime import errors
from modelyard_runtime.formats import adapters, detection
from modelyard_runtime.formats import model as models

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [4.0, 1.0]])
COLUMNS = '[{"type": "double", "name": "age"}, {"type": "double", "name": "income"}]'


def described(**changes: Any) -> dict[str, Any]:
    """The content of MLmodel for a scikit-learn model."""
    entry = {"pickled_model": "model.pkl", "sklearn_version": sklearn.__version__, "code": None}
    base = {"flavors": {"python_function": {"loader_module": "mlflow.sklearn"}, "sklearn": entry}}
    return base | {"signature": {"inputs": COLUMNS, "outputs": None, "params": None}} | changes


@pytest.fixture
def estimator() -> LinearRegression:
    return LinearRegression().fit(ROWS, [1.0, 2.0, 4.0])


@pytest.fixture
def folder(tmp_path: Path, estimator: LinearRegression) -> Path:
    joblib.dump(estimator, tmp_path / "model.pkl")
    return write(tmp_path, described())


def write(folder: Path, content: Any) -> Path:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (folder / "MLmodel").write_text(text)
    return folder


def load(folder: Path, **options: Any) -> models.Model:
    return adapters.load("mlflow", folder, models.LoadOptions(**options))


def refusal(folder: Path, **options: Any) -> errors.StartFailure:
    with pytest.raises(errors.StartFailure) as failed:
        load(folder, **options)
    return failed.value


def test_a_flavour_is_served_by_its_own_adapter_with_the_names_in_mlmodel(
    folder: Path, estimator: LinearRegression
) -> None:
    assert detection.require_known(folder, None) == "mlflow"
    model = load(folder)
    answer = model.predict({models.TABLE: ROWS}, frozenset({models.PREDICTION}), models.NO_PARAMETERS)
    assert answer[models.PREDICTION].tolist() == estimator.predict(ROWS).tolist()
    assert [feature.name for feature in model.signature.features or ()] == ["age", "income"]
    assert model.signature.is_named
    assert (model.format, model.warnings) == ("sklearn", ())


def test_another_version_is_told_or_refused(folder: Path) -> None:
    content = described()
    content["flavors"]["sklearn"]["sklearn_version"] = "0.24.1"
    write(folder, content)
    assert "saved with scikit-learn 0.24.1" in "".join(load(folder).warnings)
    assert refusal(folder, refuses_other_versions=True).reason is errors.Reason.VERSION_MISMATCH


def test_code_of_its_own_is_refused_by_the_rules_name(folder: Path) -> None:
    write(folder, described(flavors={"python_function": {"loader_module": "mlflow.pyfunc.model"}}))
    assert "MODELYARD_ALLOW_CODE=false" in refusal(folder).message
    allowed = refusal(folder, allows_code=True)
    assert allowed.reason is errors.Reason.FORMAT_UNKNOWN
    assert "lacks mlflow; choose a runtime class with the image flavour mlflow" in allowed.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("flavors: [", "is no YAML"),
        ("just text", "lists no flavors"),
        ("!!python/object/apply:os.system ['true']", "is no YAML"),
        (described(flavors={"spacy": {}}), "has the flavors spacy, and none of them is served here"),
        (described(flavors={"sklearn": {"pickled_model": "../../etc/passwd"}}), "outside of the folder"),
        (described(flavors={"sklearn": {"pickled_model": "gone.pkl"}}), "'gone.pkl', which is not in the folder"),
        (described(flavors={"catboost": {"data": "model.pkl"}}), "lacks catboost"),
        (described(signature={"inputs": "[{"}), "the signature in MLmodel can't be read"),
        (described(signature={"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "x", "shape": [1]}}]'}),
         "the signature in MLmodel can't be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_folder_is_said(folder: Path, content: Any, words: str) -> None:
    assert words in refusal(write(folder, content)).message


def test_a_folder_without_mlmodel_is_told_to_name_the_right_one(folder: Path) -> None:
    (folder / "MLmodel").unlink()
    assert "has no file MLmodel" in refusal(folder).message
