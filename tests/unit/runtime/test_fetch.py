"""The order of a fetch: nothing is committed that is not verified, and only what may pass is tried again."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import pytest

from modelyard_runtime import errors, fetchsettings
from modelyard_runtime.artifact import fetch, source
from modelyard_runtime.artifact import progress as progresses
from modelyard_runtime.artifact.sources import opening
from modelyard_runtime.lifecycle import Stage


@pytest.fixture
def model(tmp_path: Path) -> Path:
    joblib.dump([1, 2, 3], tmp_path / "m.joblib")
    return tmp_path / "m.joblib"


def _options(uri: str, tmp_path: Path, **changes: object) -> fetchsettings.FetchSettings:
    allowed = {"file_roots": (tmp_path,), **changes}
    return fetchsettings.FetchSettings(uri=uri, artifact_dir=tmp_path / "artifact", **allowed)  # type: ignore[arg-type]


def _digest(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_arrives_with_its_manifest(model: Path, tmp_path: Path) -> None:
    stages: list[Stage] = []
    fetch.fetch(_options(f"file://{model}", tmp_path, digest=_digest(model)), {}, stages.append)
    assert stages == [Stage.FETCHING, Stage.VERIFYING]
    assert (tmp_path / "artifact/content/m.joblib").read_bytes() == model.read_bytes()
    assert json.loads((tmp_path / "artifact/manifest.json").read_bytes()) == {
        "uri": f"file://{model}",
        "digest": _digest(model),
        "path": "content/m.joblib",
        "bytes": model.stat().st_size,
    }


def test_a_folder_arrives_as_a_tree(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "notes.txt").write_text("hello")
    model.rename(folder / "model.joblib")
    manifest = fetch.fetch(_options(f"file://{folder}/", tmp_path), {}, lambda _: None)
    lines = "".join(
        sorted(
            f"{path.relative_to(folder).as_posix()}\0{_digest(path).removeprefix('sha256:')}\n"
            for path in folder.rglob("*")
            if path.is_file()
        )
    )
    assert manifest.digest == "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
    assert (tmp_path / "artifact/content/models/deep/notes.txt").read_text() == "hello"


def test_a_second_run_does_not_fetch_again(model: Path, tmp_path: Path) -> None:
    options = _options(f"file://{model}", tmp_path)
    first = fetch.fetch(options, {}, lambda _: None)
    model.unlink()
    assert fetch.fetch(options, {}, lambda _: None) == first


def test_another_digest_is_refused_and_nothing_is_left(model: Path, tmp_path: Path) -> None:
    pinned = "sha256:" + "0" * 64
    with pytest.raises(errors.StartFailure) as caught:
        fetch.fetch(_options(f"file://{model}", tmp_path, digest=pinned), {}, lambda _: None)
    assert caught.value.reason is errors.Reason.DIGEST_MISMATCH
    assert pinned in caught.value.message
    assert _digest(model) in caught.value.message
    assert not (tmp_path / "artifact/manifest.json").exists()
    assert not (tmp_path / "artifact/content").exists()


Failure = tuple[Callable[[Path], Path], dict[str, int], errors.Reason, str]
FAILURES: dict[str, Failure] = {
    "no such file": (lambda folder: folder / "none.pkl", {}, errors.Reason.ARTIFACT_NOT_FOUND, "does not exist"),
    "an empty folder": (lambda folder: folder / "empty", {}, errors.Reason.ARTIFACT_NOT_FOUND, "without any file"),
    "more bytes than allowed": (
        lambda folder: folder / "m.joblib", {"max_artifact_bytes": 3},
        errors.Reason.ARTIFACT_TOO_LARGE, "more than the 3",
    ),
    "a folder with more bytes than allowed": (
        lambda folder: folder / "two", {"max_artifact_bytes": 15}, errors.Reason.ARTIFACT_TOO_LARGE, "more than the 15",
    ),
    "a link that leads out": (lambda folder: folder / "links", {}, errors.Reason.ACCESS_DENIED, "'out'"),
    "an HTML page": (lambda folder: folder / "page", {}, errors.Reason.FORMAT_UNKNOWN, "an HTML page"),
    "an empty file": (lambda folder: folder / "nothing", {}, errors.Reason.FORMAT_UNKNOWN, "empty"),
    "a folder of files with no model's name": (
        lambda folder: folder / "two", {}, errors.Reason.FORMAT_UNKNOWN, "model.joblib",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_fetch_fails_with_its_reason(case: str, model: Path, tmp_path: Path) -> None:
    for name in ("empty", "two", "links"):
        (tmp_path / name).mkdir()
    (tmp_path / "two" / "a").write_bytes(b"0123456789")
    (tmp_path / "two" / "b").write_bytes(b"0123456789")
    (tmp_path / "links" / "out").symlink_to(model)
    (tmp_path / "page").write_text("<!DOCTYPE html><title>Sign in</title>")
    (tmp_path / "nothing").write_bytes(b"")
    locate, changes, reason, words = FAILURES[case]
    with pytest.raises(errors.StartFailure) as caught:
        fetch.fetch(_options(f"file://{locate(tmp_path)}", tmp_path, **changes), {}, lambda _: None)
    assert caught.value.reason is reason
    assert words in caught.value.message
    assert not (tmp_path / "artifact/manifest.json").exists()


class FlakySource:
    """Breaks off a number of times, then gives the file."""

    def __init__(self, failures: list[errors.Reason], content: bytes) -> None:
        self._failures = failures
        self._content = content
        self.opened = 0

    def list_files(self) -> source.Listing:
        return source.Listing(False, (source.File("", None),))

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        self.opened += 1
        return source.Content(len(self._content), self._chunks())

    def _chunks(self) -> Iterator[bytes]:
        yield self._content[:4]
        if self._failures:
            raise errors.StartFailure(self._failures.pop(0), "the connection broke")
        yield self._content[4:]


def _fetch_from(
    origin: FlakySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[float], Path]:
    waits: list[float] = []
    monkeypatch.setattr(opening, "open_source", lambda *_: origin)
    fetch.fetch(_options("https://host/m.joblib", tmp_path), {}, lambda _: None, waits.append)
    return waits, tmp_path / "artifact/content/m.joblib"


def test_a_broken_transfer_starts_over(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = FlakySource([errors.Reason.FETCH_FAILED] * 3, model.read_bytes())
    waits, target = _fetch_from(origin, tmp_path, monkeypatch)
    assert target.read_bytes() == model.read_bytes()
    assert origin.opened == 4
    assert waits == sorted(waits)


def test_retries_end(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = FlakySource([errors.Reason.FETCH_FAILED] * 10, model.read_bytes())
    with pytest.raises(errors.StartFailure, match="broke"):
        _fetch_from(origin, tmp_path, monkeypatch)
    assert origin.opened == 6


def test_what_cannot_pass_is_not_tried_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = FlakySource([errors.Reason.ACCESS_DENIED], model.read_bytes())
    with pytest.raises(errors.StartFailure):
        _fetch_from(origin, tmp_path, monkeypatch)
    assert origin.opened == 1


def test_progress_is_told_every_few_seconds(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    progress = progresses.Progress("s3://b/k", clock=lambda: now)
    progress.total_bytes = 100 * 1024**2
    with caplog.at_level("INFO"):
        for now in (1.0, 2.0, 4.0, 5.0, 8.0):  # noqa: B007  # the clock reads it
            progress.add(10 * 1024**2)
    told = [record.fields for record in caplog.records]  # type: ignore[attr-defined]
    assert [fields["bytes"] for fields in told] == [30 * 1024**2, 50 * 1024**2]
    assert told[1] == {
        "uri": "s3://b/k",
        "bytes": 50 * 1024**2,
        "seconds": 8.0,
        "mib_per_second": 6.2,
        "total_bytes": 100 * 1024**2,
        "remaining_seconds": 8.0,
    }
