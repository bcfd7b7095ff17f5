"""Plants a bug into a copy of the checkout and runs the test that must find it.

Used by `test_gates.py` and by the campaign `gates`. Only what the tests need is copied, a few megabytes; the checkout
itself is never touched.
"""

import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from tests.gates.bugs import Bug

ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("operator", "runtime", "tests", "charts", "crds", "docs", "devcluster", "demo", "pyproject.toml")
_TIMEOUT_SECONDS = 300
_TESTS_FAILED = 1  # pytest's exit code; others mean that it could not even try
_AT_ONCE = 2


class Outcome(msgspec.Struct, frozen=True):
    """What a test said about a copy: whether it ran, whether it failed, and its last words."""

    has_run: bool
    has_failed: bool
    words: str


class OutOfDate(Exception):  # noqa: N818 - named for what it means
    """A planted bug no longer fits the code it was written for."""


def planted(bug: Bug) -> str:
    """Give the file with the bug in it.

    Raises:
        OutOfDate: when the text to replace isn't there exactly once.
    """
    text = (ROOT / bug.file).read_text()
    if (count := text.count(bug.old)) != 1:
        raise OutOfDate(
            f"{bug.file} has the text {count} times, not once: {bug.old!r}. Bring tests/gates/bugs.py up."
        )
    return text.replace(bug.old, bug.new)


def try_out(bug: Bug) -> Outcome:
    """Run the bug's test on a copy that has the bug; one that is out of date counts as not run."""
    try:
        return _run({bug.file: planted(bug)}, [bug.test])
    except OutOfDate as stale:
        return Outcome(has_run=False, has_failed=False, words=str(stale))


def try_all(bugs: Iterable[Bug]) -> dict[str, Outcome]:
    """Give what came of each bug, by its mistake, two at a time."""
    listed = list(bugs)
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip((bug.mistake for bug in listed), pool.map(try_out, listed), strict=True))


def try_healthy(bugs: Iterable[Bug]) -> Outcome:
    """Run the tests of all bugs on a copy that has none."""
    return _run({}, sorted({bug.test for bug in bugs}))


def _run(changed: Mapping[str, str], tests: Iterable[str]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="modelyard-gate-") as folder:
        root = Path(folder)
        for name in _COPIED:
            _copy(ROOT / name, root / name)
        for file, text in changed.items():
            (root / file).write_text(text)
        # A fixed hash seed: a bug of no fixed order must not be missed by luck.
        environment = {**os.environ, "PYTHONPATH": "operator:runtime:cli:.", "PYTHONHASHSEED": "1"}
        command = [sys.executable, "-m", "pytest", "--quiet", "--exitfirst", "-p", "no:cacheprovider", *tests]
        finished = subprocess.run(
            command,
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    code = finished.returncode
    words = "\n".join((finished.stdout + finished.stderr).splitlines()[-12:])
    return Outcome(code in (0, _TESTS_FAILED), code == _TESTS_FAILED, f"pytest exit code {code}\n{words}")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    else:
        shutil.copyfile(source, target)
