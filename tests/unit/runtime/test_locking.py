"""Other bytes than a revision is locked to are neither parsed nor loaded, and what has been fetched is told."""

import hashlib
import json
from pathlib import Path

import joblib
import pytest

from modelyard_runtime import errors, fetchsettings, loading, settings
from modelyard_runtime.artifact import fetch, manifest
from modelyard_runtime.formats import detection
from modelyard_runtime.lifecycle import Stage

LOCKED = "sha256:" + "a" * 64


@pytest.fixture
def model(tmp_path: Path) -> Path:
    joblib.dump([1, 2, 3], tmp_path / "m.joblib")
    return tmp_path / "m.joblib"


def _options(model: Path, locked: str | None) -> fetchsettings.FetchSettings:
    return fetchsettings.FetchSettings(
        uri=f"file://{model}",
        artifact_dir=model.parent / "artifact",
        locked_digest=locked,
        file_roots=(model.parent,),
    )


def _digest(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_other_bytes_are_refused_before_they_are_parsed_with_both_digests_and_the_remedy(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(*_: object) -> str:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(detection, "require_known", parse)
    stages: list[Stage] = []
    with pytest.raises(errors.StartFailure) as caught:
        fetch.fetch(_options(model, LOCKED), {}, stages.append)
    assert caught.value.reason is errors.Reason.DIGEST_CHANGED
    for words in (f"file://{model} has now", LOCKED, f"spec.model.digest: {_digest(model)}", "another URI"):
        assert words in caught.value.message
    assert stages == [Stage.FETCHING, Stage.VERIFYING]
    assert not (model.parent / "artifact/content").exists()


def test_the_same_bytes_are_taken(model: Path) -> None:
    assert fetch.fetch(_options(model, _digest(model)), {}, lambda _: None).digest == _digest(model)


def test_what_was_fetched_before_there_was_a_lock_is_fetched_again(model: Path) -> None:
    right = model.read_bytes()
    model.write_bytes(right + b" ")
    fetch.fetch(_options(model, None), {}, lambda _: None)
    model.write_bytes(right)
    assert fetch.fetch(_options(model, _digest(model)), {}, lambda _: None).digest == _digest(model)


def test_a_server_that_is_started_again_does_not_load_other_bytes(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch.fetch(_options(model, None), {}, lambda _: None)

    def parse(*_: object) -> str:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(detection, "require_known", parse)
    options = settings.ServeSettings("m", model.parent / "artifact", locked_digest=LOCKED)
    with pytest.raises(errors.StartFailure) as caught:
        loading.load(options, lambda _: None, lambda _: parse())  # type: ignore[arg-type]
    assert caught.value.reason is errors.Reason.DIGEST_CHANGED
    assert _digest(model) in caught.value.message


def test_the_report_fits_a_termination_message() -> None:
    told = manifest.report(manifest.Manifest("s3://b/" + "k" * 2000, LOCKED, "content/k", 10**15), "sklearn")
    assert json.loads(told) == {"digest": LOCKED, "format": "sklearn", "bytes": 10**15}
    assert len(told) < 4096  # what the kubelet takes
