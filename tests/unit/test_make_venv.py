"""A machine that can't make the environment is told what is missing and what to type, and nothing is left half-made."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path("scripts/make_venv.sh").resolve()


def _run(python: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHON": python, "VENV": str(folder / "venv"), "PATH": os.defpath}
    return subprocess.run(
        ["sh", str(SCRIPT)], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


def _program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_an_old_python_is_said(tmp_path: Path) -> None:
    old = _program(tmp_path, "old-python", 'case "$*" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    finished = _run(str(old), tmp_path)
    assert finished.returncode != 0
    for word in ("Python 3.9.2", "3.11", "make PYTHON="):
        assert word in finished.stderr
    assert not (tmp_path / "venv").exists()


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    finished = _run("no-such-python", tmp_path)
    assert finished.returncode != 0
    assert "apt-get install python3" in finished.stderr
