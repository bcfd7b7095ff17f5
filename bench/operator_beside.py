"""`python -m bench.operator_beside REVISION`: the operator of this tree beside the one of another commit.

Both work in turn on the same control plane, each on new ModelDeployments, so that what else the machine does meets both
alike. What counts is processor time and API calls, which a busy machine changes little. For whoever makes the operator
cheaper; the published table is `operator_scale`'s. Progress goes to standard error.
"""

import argparse
import asyncio
import collections
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench import audit, board, interruption, measures, operator_process, rig, workload
from devcluster import progress

_ROOT = Path(__file__).parent.parent
_INHERITED = ("PATH", "HOME")
_PATIENCE_SECONDS = 600.0

Calls = Mapping[tuple[str, str], int]
Mean = Mapping[tuple[str, str], float]


class Turn:
    """What one operator needed for its ModelDeployments, for each of them."""

    def __init__(
        self, size: int, calls: Calls, used: tuple[float, float], visits: int, seconds: float
    ) -> None:
        self.calls = {call: count / size for call, count in calls.items()}
        self.until_ready_ms = 1000 * used[0] / size
        self.until_rest_ms = 1000 * used[1] / size
        self.visits = visits / size
        self.seconds = seconds


def main(arguments: list[str] | None = None) -> int:
    """Measure and print both; give 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.operator_beside", description=__doc__)
    parser.add_argument("revision", help="the commit with the other operator, for example HEAD~1")
    parser.add_argument(
        "--size", type=int, default=300, help="ModelDeployments in a turn (default: %(default)s)"
    )
    parser.add_argument("--turns", type=int, default=3, help="turns of each (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    progress.write_to(sys.stderr)
    with tempfile.TemporaryDirectory(prefix="modelyard-beside-") as temporary:
        other = Path(temporary) / "other"
        _unpack(chosen.revision, other)
        operators = {chosen.revision: other / "operator", "this tree": _ROOT / "operator"}
        found = interruption.run(_run(operators, chosen.size, chosen.turns, Path(temporary)))
    print(_table(found))
    return 0


def _unpack(revision: str, folder: Path) -> None:
    folder.mkdir()
    archive = subprocess.run(
        ["git", "archive", revision, "operator"], cwd=_ROOT, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x"], input=archive.stdout, cwd=folder, check=True)


async def _run(operators: dict[str, Path], size: int, turns: int, folder: Path) -> dict[str, list[Turn]]:
    found: dict[str, list[Turn]] = {name: [] for name in operators}
    names = iter(workload.names(size * turns * len(operators)))
    async with rig.up(f"beside-{os.getpid()}", folder) as cluster:
        kubeconfig = await operator_process.prepare(cluster)
        await rig.make_namespace(cluster, workload.NAMESPACE)
        async with board.watched(cluster, workload.NAMESPACE) as seen:
            for number in range(turns):
                # Each begins as often as the other: the cluster fills up.
                for name in sorted(operators, reverse=number % 2 == 1):
                    environ = {key: os.environ[key] for key in _INHERITED if key in os.environ}
                    environ["PYTHONPATH"] = str(operators[name])
                    async with operator_process.started(cluster, kubeconfig, environ) as operator:
                        await operator_process.until_ready(operator)
                        await measures.rest(operator)
                        turn = await _turn(cluster, seen, operator, [next(names) for _ in range(size)])
                    progress.line("doing", f"{name}: {turn.until_ready_ms:.1f} ms each")
                    found[name].append(turn)
    return found


async def _turn(
    cluster: rig.Rig, seen: board.Board, operator: operator_process.Operator, wanted: list[str]
) -> Turn:
    log, cpu = audit.Audit(cluster.logs, operator_process.USER), operator.process.cpu_seconds()
    visits, start = await operator.visits(), time.monotonic()
    creating = asyncio.create_task(workload.create(cluster, wanted))
    done = await seen.until(lambda: seen.ready.issuperset(wanted), "all Ready", _PATIENCE_SECONDS)
    used = operator.process.cpu_seconds() - cpu
    await creating
    await measures.rest(operator)
    used_until_rest = operator.process.cpu_seconds() - cpu
    visits = await operator.visits() - visits
    return Turn(len(wanted), log.calls(), (used, used_until_rest), visits, done - start)


def _table(found: dict[str, list[Turn]]) -> str:
    lines = ["| for each new ModelDeployment | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
    rows = {
        "CPU until all are Ready, ms": "until_ready_ms",
        "CPU until at rest, ms": "until_rest_ms",
        "visits until at rest": "visits",
        "seconds until all are Ready": "seconds",
    }
    for text, field in rows.items():
        cells = [statistics.median(getattr(turn, field) for turn in turns) for turns in found.values()]
        lines.append(f"| {text} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    calls = [_mean(turns) for turns in found.values()]
    for verb, resource in sorted({call for each in calls for call in each if call[0] != "watch"}):
        cells = [each.get((verb, resource), 0.0) for each in calls]
        lines.append(f"| calls: {verb} {resource} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(lines)


def _mean(turns: list[Turn]) -> Mean:
    total: dict[tuple[str, str], float] = collections.defaultdict(float)
    for turn in turns:
        for call, count in turn.calls.items():
            total[call] += count
    return {call: count / len(turns) for call, count in total.items()}


if __name__ == "__main__":
    sys.exit(main())
