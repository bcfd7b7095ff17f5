"""Nothing in a corpus of hostile pickles runs, hangs or takes much memory; each ends in a reason that says why.

The corpus is written here, by the modules beside this one. What it would do is proven: unchecked, each of `attacks`
leaves its trace.
"""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn as sklearn_format
from modelyard_runtime.formats.pickles import rule
from tests.unit.runtime.pickles import arena, attacks, heavy, strange

_NAMES = sorted(attacks.files(Path("/nonexistent/sentinel"), 1))
_STRANGE = strange.files()
# What is no whole pickle in the first place; anything else is refused, and not merely no model.
_DAMAGED = {
    "a ZIP archive called joblib",
    "a memo that was never filled",
    "a program called joblib",
    "a second protocol",
}
_UNCHECKED = models.LoadOptions(pickle_rule=rule.Rule.ANY)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with arena.listener() as opened:
        yield opened


def _write(content: bytes, folder: Path) -> Path:
    (folder / "artifact").mkdir()
    file = folder / "artifact" / "model.joblib"
    file.write_bytes(content)
    return file


def _check(outcome: arena.Outcome) -> None:
    assert outcome.reason in ("PickleRefused", "LoadFailed"), outcome
    assert outcome.memory_bytes < arena.MEMORY_BYTES
    if outcome.reason == "PickleRefused":
        assert "nothing of it was run" in outcome.message
        assert "spec.model.digest" in outcome.message


def test_the_corpus_is_large() -> None:
    assert len(_NAMES) + len(_STRANGE) + len(heavy.FILES) >= 250
    assert len(_NAMES) >= 80


@pytest.mark.parametrize("case", _NAMES)
def test_what_would_run_is_named_and_does_not_run(case: str, tmp_path: Path, listener: socket.socket) -> None:
    content = attacks.files(tmp_path / "sentinel", listener.getsockname()[1])[case]
    file = _write(content, tmp_path)
    before = arena.entries(tmp_path)
    outcome = arena.run(lambda: sklearn_format.load(file))
    _check(outcome)
    assert outcome.reason == "PickleRefused"
    assert "not allowed" in outcome.message
    assert arena.entries(tmp_path) == before
    assert not arena.was_asked(listener)


def test_the_attacks_work_where_nothing_is_checked(tmp_path: Path, listener: socket.socket) -> None:
    file = _write(b"", tmp_path)
    corpus = attacks.files(tmp_path / "sentinel", listener.getsockname()[1])

    def load_all() -> None:
        without_effect = []
        for case, content in corpus.items():
            file.write_bytes(content)
            before = arena.entries(tmp_path)
            # What an attack returns is no model, and may be anything; what it did is what counts.
            with contextlib.suppress(Exception):
                sklearn_format.load(file, _UNCHECKED)
            if not arena.leaves_a_trace(tmp_path, before, listener):
                without_effect.append(case)
        raise AssertionError("without effect: " + ", ".join(without_effect))

    outcome = arena.run(load_all, is_limited=False)
    assert outcome.message == "without effect: "


@pytest.mark.parametrize("case", _STRANGE)
def test_what_would_confuse_is_refused(case: str, tmp_path: Path) -> None:
    file = _write(_STRANGE[case], tmp_path)
    outcome = arena.run(lambda: sklearn_format.load(file))
    _check(outcome)
    assert outcome.reason == ("LoadFailed" if case in _DAMAGED else "PickleRefused")


@pytest.mark.parametrize("case", heavy.FILES)
def test_what_wants_much_ends_soon_and_small(case: str, tmp_path: Path) -> None:
    file = _write(heavy.FILES[case](), tmp_path)
    _check(arena.run(lambda: sklearn_format.load(file)))


def test_nothing_is_taken_for_a_model_by_another_name(tmp_path: Path) -> None:
    """A pickle is a pickle under every name; the loader of another format doesn't unpickle it."""
    content = attacks.files(tmp_path / "sentinel", 1)["a call of os.system"]
    for suffix in (".pkl", ".pickle", ".onnx", ".skops", ".txt", ""):
        file = tmp_path / f"model{suffix}"
        file.write_bytes(content)
        outcome = arena.run(lambda file=file: sklearn_format.load(file))  # type: ignore[misc]
        assert outcome.reason == "PickleRefused"
        file.unlink()
    assert not (tmp_path / "sentinel").exists()
