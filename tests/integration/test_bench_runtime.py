"""The benchmark of the runtime runs from end to end and leaves nothing: one case, no judgement of speed."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path


def test_the_benchmark_gives_every_figure_and_leaves_nothing(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    chosen = ["--cases", "linear", "--peers", "limit,modelyard-plain", "--connections", "16"]
    arguments = [*chosen, "--rounds", "1", "--seconds", "1", "--json", str(figures)]
    before = _scratch()
    done = subprocess.run(
        [sys.executable, "-m", "bench.runtime", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "| 16 connections | requests/s |" in done.stdout
    report = json.loads(figures.read_text())
    assert report["absent"] == {}
    assert {each["server"] for each in report["drives"]} == {"limit", "modelyard-plain"}
    assert {each["server"] for each in report["starts"]} == {"limit", "modelyard-plain"}
    # Processor time is counted in hundredths of a second, so that a start may show none.
    measured = [{**each, "cpu_seconds": 1} for each in report["starts"]] + report["drives"]
    zeros = [each for each in measured if not all(value for value in each.values())]
    assert zeros == []
    assert _scratch() <= before


def _scratch() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("modelyard-bench-*"))
