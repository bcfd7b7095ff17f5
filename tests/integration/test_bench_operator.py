"""The benchmark of the operator runs from end to end and removes what it made: ten resources, no judgement of speed."""

import json
import subprocess
import sys
from pathlib import Path

from devcluster import embedded

SIZE = 10


def test_the_benchmark_gives_every_figure_and_leaves_nothing(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    arguments = ["--sizes", str(SIZE), "--changes", "5", "--idle-seconds", "1", "--json", str(figures)]
    before = set(embedded.names())
    done = subprocess.run(
        [sys.executable, "-m", "bench.operator_scale", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert f"| ModelDeployments | target | {SIZE} |" in done.stdout
    (run,) = json.loads(figures.read_text())
    assert run["size"] == SIZE
    assert run["restart_writes"] == 0
    idle = {"idle_cpu", "idle_calls", "load"}  # so short that nothing need happen
    assert [key for key, value in run.items() if key not in idle | {"restart_writes"} and not value > 0] == []
    assert run["children"] <= run["ready"]
    assert {name for name in embedded.names() if name.startswith("bench-")} <= before
