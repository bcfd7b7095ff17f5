"""What a trial says of models that do their worst, and what is recorded of one that has passed."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard_runtime import converting, errors, lifecycle, prepare, settings, trial
from modelyard_runtime.acceleration import folder
from modelyard_runtime.artifact import store

MIB = 1024**2
Reason = errors.Reason
Stage = lifecycle.Stage

# A model with code of its own does at will, and when it is told to, what others need a damaged file for.
MODEL = """
import ctypes, os, time

def eat():
    held = []
    while True:
        held.append(b"x" * 2**20)

def crash():
    import faulthandler
    faulthandler.disable()
    ctypes.string_at(0)

def fail():
    raise RuntimeError("no, thanks")

class Model:
    signature = {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1]}],
    }

    def __init__(self, folder):
        WHILE_LOADING

    def predict(self, inputs):
        WHILE_PREDICTING
        return inputs["x"].sum(axis=1)
"""


def _options(
    place: Path, loading: str = "pass", predicting: str = "pass", seconds: float = 60, samples: str = "[]"
) -> settings.PrepareSettings:
    """The settings of `prepare` for a fetched model that does this."""
    content = MODEL.replace("WHILE_LOADING", loading).replace("WHILE_PREDICTING", predicting)
    fetched = store.Store(place)
    staged = fetched.prepare("own")
    staged.mkdir()
    (staged / "model.py").write_text(content)
    digest = "sha256:" + hashlib.sha256(content.encode()).hexdigest()
    fetched.commit(staged, "file:///own", digest, len(content))
    limits = settings.TrialLimits(seconds, 256 * MIB)
    return settings.PrepareSettings(
        artifact_dir=place, model_format="custom", allow_code=True, samples=samples, trial=limits
    )


def _tried(options: settings.PrepareSettings) -> tuple[trial.Passed | errors.StartFailure, Stage]:
    tried = trial.Trial(options)
    with tried.child:
        try:
            return tried.result(), tried.stage
        except errors.StartFailure as failure:
            return failure, tried.stage


# What it does: (while loading, while predicting, reason, stage, words of the message).
WORST: dict[str, tuple[str, str, Reason, Stage, tuple[str, ...]]] = {
    "eats memory while loading": (
        "eat()", "pass", Reason.LIMIT_EXCEEDED, Stage.LOADING,
        ("loading the model needed more memory", "256 MiB", "spec.resources.limits.memory"),
    ),
    "eats memory while predicting": (
        "pass", "eat()", Reason.LIMIT_EXCEEDED, Stage.WARMING, ("the model's first predictions", "256 MiB"),
    ),
    "is refused memory while loading": (
        "bytearray(1 << 50)", "pass", Reason.LIMIT_EXCEEDED, Stage.LOADING, ("loading the model",),
    ),
    "is refused memory while predicting": (
        "pass", "bytearray(1 << 50)", Reason.LIMIT_EXCEEDED, Stage.WARMING, ("the model's first predictions",),
    ),
    "crashes while loading": (
        "crash()", "pass", Reason.LOAD_FAILED, Stage.LOADING, ("crashed (SIGSEGV)", "publish it again"),
    ),
    "aborts while predicting": (
        "pass", "os.abort()", Reason.LOAD_FAILED, Stage.WARMING, ("crashed (SIGABRT)", "first predictions"),
    ),
    "leaves while loading": (
        "os._exit(3)", "pass", Reason.INTERNAL_ERROR, Stage.LOADING, ("exit code 3",),
    ),
    "raises while loading": (
        "fail()", "pass", Reason.LOAD_FAILED, Stage.LOADING, ("no, thanks",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WORST)
def test_the_worst_is_a_reason(case: str, tmp_path: Path) -> None:
    loading, predicting, reason, stage, words = WORST[case]
    failure, reached = _tried(_options(tmp_path, loading, predicting))
    assert isinstance(failure, errors.StartFailure)
    assert (failure.reason, reached) == (reason, stage), failure.message
    for word in words:
        assert word in failure.message


@pytest.mark.parametrize(
    ("loading", "predicting", "words"),
    [("time.sleep(600)", "pass", "loading the model"), ("pass", "while True: pass", "first predictions")],
)
def test_a_trial_has_an_end(loading: str, predicting: str, words: str, tmp_path: Path) -> None:
    failure, _ = _tried(_options(tmp_path, loading, predicting, seconds=3))
    assert isinstance(failure, errors.StartFailure)
    assert failure.reason is Reason.LIMIT_EXCEEDED
    assert words in failure.message
    assert "longer than the 3 s" in failure.message
    assert "spec.runtime.trialSeconds" in failure.message


def test_a_model_that_refuses_made_up_rows_passes(tmp_path: Path) -> None:
    passed, stage = _tried(_options(tmp_path, predicting="fail()"))
    assert isinstance(passed, trial.Passed)
    assert (passed.format, passed.engine, stage) == ("custom", "Python", Stage.WARMING)


def test_a_sample_that_is_answered_wrongly_is_told_by_the_trial(tmp_path: Path) -> None:
    samples = '[{"inputs": {"x": [[1, 2]]}, "expect": [4]}]'
    failure, _ = _tried(_options(tmp_path, samples=samples))
    assert isinstance(failure, errors.StartFailure)
    assert failure.reason is Reason.SAMPLE_MISMATCH
    passed, _ = _tried(_options(tmp_path, samples=samples.replace("4", "3")))
    assert isinstance(passed, trial.Passed)


PASSED = trial.Passed("sha256:1", "sklearn", "sklearn", "scikit-learn")


def test_what_has_passed_is_recorded_for_this_artifact_read_this_way(tmp_path: Path) -> None:
    assert not trial.has_passed(tmp_path, "sha256:1", "sklearn")
    trial.record(tmp_path, PASSED)
    assert trial.has_passed(tmp_path, "sha256:1", "sklearn")
    assert not trial.has_passed(tmp_path, "sha256:2", "sklearn")
    assert not trial.has_passed(tmp_path, "sha256:1", "skops")
    trial.forget(tmp_path)
    assert not trial.has_passed(tmp_path, "sha256:1", "sklearn")


@pytest.mark.parametrize(
    "content", ["", "{", "7", "{}", '{"version": "0.0.1", "digest": "sha256:1", "format": "sklearn"}']
)
def test_a_record_that_is_damaged_or_of_another_version_counts_for_nothing(
    content: str, tmp_path: Path
) -> None:
    (tmp_path / trial.FILE_NAME).write_text(content)
    assert not trial.has_passed(tmp_path, "sha256:1", "sklearn")


def test_prepare_records_what_passes_and_only_that(tmp_path: Path) -> None:
    options = _options(tmp_path)
    digest = store.Store(tmp_path).open()[0].digest
    assert prepare.prepare(options) == prepare.Decided("Python", "Python serves this format itself")
    assert trial.has_passed(tmp_path, digest, "custom")
    entered: list[Stage] = []
    with pytest.raises(errors.StartFailure):
        prepare.prepare(_options(tmp_path, predicting="os.abort()"), entered.append)
    assert entered == [Stage.WARMING]
    assert not (tmp_path / trial.FILE_NAME).exists()


def test_serve_holds_a_trial_of_its_own_unless_one_is_recorded(tmp_path: Path) -> None:
    prepared = _options(tmp_path, predicting="os.abort()")
    options = settings.ServeSettings(
        "m", tmp_path, model_format="custom", allow_code=True, trial=prepared.trial
    )
    wait = trial.before_serving(options)
    assert wait is not None
    entered: list[Stage] = []
    with pytest.raises(errors.StartFailure) as failed:
        wait(entered.append)
    assert failed.value.reason is Reason.LOAD_FAILED
    assert entered == [Stage.WARMING]
    digest = store.Store(tmp_path).open()[0].digest
    trial.record(tmp_path, trial.Passed(digest, "custom", "custom", "Python"))
    assert trial.before_serving(options) is None


def test_what_was_never_fetched_needs_no_trial(tmp_path: Path) -> None:
    assert trial.before_serving(settings.ServeSettings("m", tmp_path)) is None


def _eat(*given: object) -> None:
    held = []
    while True:
        held.append(b"x" * MIB)


CONVERSIONS: dict[str, tuple[Callable[..., object], str]] = {
    "crashes": (lambda *_given: os.abort(), "it crashed (SIGABRT)"),
    "eats memory": (_eat, "it needed more memory than there is"),
    "leaves": (lambda *_given: os._exit(3), "it failed (exit code 3)"),
    "takes too long": (lambda *_given: time.sleep(600), "it took longer than 1 s"),
}


@pytest.mark.parametrize("case", CONVERSIONS)
def test_an_end_of_the_conversion_is_no_end_of_the_model(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child that converts has passed before: whatever ends it then, the original serves and says why."""
    work, words = CONVERSIONS[case]
    monkeypatch.setattr(converting, "convert", work)
    monkeypatch.setattr(prepare, "BUDGET_SECONDS", 1.0 if case == "takes too long" else 60.0)
    decided = prepare.prepare(_options(tmp_path))
    assert decided == prepare.Decided("Python", f"the conversion was given up: {words}")
    digest = store.Store(tmp_path).open()[0].digest
    assert trial.has_passed(tmp_path, digest, "custom")
    described = folder.Folder(tmp_path).read(digest, "custom")
    assert described is not None
    assert (described.acceleration.reason, described.plan) == (decided.reason, None)
