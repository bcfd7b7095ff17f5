"""`serve` takes what was prepared only when it is whole and wanted; otherwise the original serves, and it says why."""

from pathlib import Path

import msgspec
import pytest

from modelyard_runtime import errors, settings
from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.acceleration import folder, preparation, serving
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn as sklearn_format
from tests.support import estimators as kinds

DIGEST = "sha256:1"


def _prepare(place: Path, kind: str, warnings: tuple[str, ...] = ()) -> Path:
    model = sklearn_format.from_estimator(
        kinds.CLASSIFIERS[kind]().fit(kinds.X, kinds.CLASSES), "model.joblib", warnings
    )
    target = folder.Folder(place)
    target.begin()
    identity = descriptions.Description(
        version=folder.runtime_version(),
        digest=DIGEST,
        format="sklearn",
        platform="sklearn",
        acceleration=descriptions.Acceleration("scikit-learn", ""),
    )
    target.commit(preparation.prepare(model, (), identity, target.clear))
    return target.path


def _open(place: Path, **options: object) -> serving.Opened:
    asked = settings.ServeSettings(model_name="m", artifact_dir=place, **options)  # type: ignore[arg-type]
    return serving.open_prepared(asked, DIGEST, "sklearn", _no_original, threads=1)


def _no_original() -> models.Model:
    raise errors.StartFailure(errors.Reason.INTERNAL_ERROR, "not here")


def test_what_was_prepared_serves(tmp_path: Path) -> None:
    _prepare(tmp_path, "scaler and regression")
    opened = _open(tmp_path)
    assert opened.model is not None
    assert opened.describe("scikit-learn").engine == opened.model.engine == "onnxruntime"


def test_the_original_serves_where_nothing_was_prepared_or_nobody_wants_it(tmp_path: Path) -> None:
    assert "nothing was prepared" in _open(tmp_path).describe("scikit-learn").reason
    _prepare(tmp_path, "decision tree", warnings=("another version wrote it",))
    assert _open(tmp_path).model is not None
    off = _open(tmp_path, accelerate=False)
    assert off.model is None
    assert off.describe("scikit-learn") == descriptions.Acceleration(
        "scikit-learn", "acceleration is off (spec.runtime.accelerate)"
    )
    refused = _open(tmp_path, version_policy=settings.VersionPolicy.REFUSE)
    assert refused.model is None
    assert "another version" in refused.describe("scikit-learn").reason


@pytest.mark.parametrize(
    ("kind", "file", "content"),
    [
        ("scaler and regression", "main.onnx", b""),
        ("scaler and regression", "main.onnx", b"\x08\x0agarbage"),
        ("random forest", "trees.bin", b""),
        ("random forest", "trees.bin", None),
    ],
)
def test_the_original_serves_where_an_engine_file_is_damaged(
    kind: str, file: str, content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = _prepare(tmp_path, kind) / file
    if content is None:
        damaged.unlink()
    else:
        damaged.write_bytes(content)
    opened = _open(tmp_path)
    assert opened.model is None
    assert "can't be used" in opened.describe("scikit-learn").reason
    assert "engine not usable" in caplog.messages


def test_a_description_survives_its_file() -> None:
    signature = models.Signature(
        features=(models.Feature("a", models.Kind.NUMBER),),
        classes=("x", 1, 2.5, True),
        on_request=frozenset({"predict_proba"}),
        parameters={"seed": "a number"},
    )
    described = descriptions.Description(
        version="1", digest=DIGEST, format="sklearn", platform="sklearn", signature=signature,
        acceleration=descriptions.Acceleration("x", "y"),
        plan=descriptions.Plan(answers={"predict": descriptions.Answer("<f8", (2,), "values")}),
    )  # fmt: skip
    read = descriptions.decode(descriptions.encode(described))
    assert read == described
    assert read is not None
    assert read.signature is not None
    assert [type(one) for one in read.signature.classes or ()] == [str, int, float, bool]
    assert msgspec.structs.asdict(read) == msgspec.structs.asdict(described)


def test_an_original_that_cannot_be_loaded_fails_the_request(tmp_path: Path) -> None:
    _prepare(tmp_path, "scaler and regression")
    opened = _open(tmp_path)
    assert opened.model is not None
    huge = kinds.X[:1].copy()
    huge[0, 0] = 1e300
    with pytest.raises(errors.ModelFailed, match="not here"):
        opened.model.predict({models.TABLE: huge}, frozenset({"predict"}), models.NO_PARAMETERS)
