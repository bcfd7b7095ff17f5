"""Rules of the house that no linter knows: module length, and what must never be named in the tree."""

import subprocess
from pathlib import Path

LONGEST_MODULE = 300


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *patterns], capture_output=True, text=True, check=True
    ).stdout
    return [Path(name) for name in listed.split("\0") if name]


def test_no_module_is_longer_than_300_lines() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in _tracked("*.py")}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_every_module_says_why_it_exists() -> None:
    packages = (
        "operator/**.py",
        "runtime/**.py",
        "cli/**.py",
        "devcluster/**.py",
        "demo/**.py",
        "bench/**.py",
        "examples/**.py",
    )
    silent = [str(path) for path in _tracked(*packages) if not path.read_text().lstrip().startswith('"""')]
    assert silent == []


def test_locks_carry_hashes_and_no_addresses() -> None:
    for path in _tracked("requirements/*.txt", "bench/peers/*.txt"):
        text = path.read_text()
        assert "://" not in text, path
        assert "--hash=sha256:" in text, path
