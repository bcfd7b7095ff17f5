"""What one measurement gives, what it should be, and how both are shown. Pure."""

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Figures:
    """All figures of one run; times in seconds unless the name says otherwise.

    Attributes:
        size: how many ModelDeployments there were.
        kubectl: `kubectl apply --server-side` of the same finished children; None where that was not measured.
        children: from the first ModelDeployment created to the last child there.
        ready: from the same moment to all Ready.
        cpu_ms: the operator's processor time for each, until all Ready.
        memory_mib: resident memory with all of them idle; peak_mib is the most it ever was.
        change_p50: from a change of the model's URI sent, to its Deployment updated.
        idle_calls: API calls for each resource and minute, nothing happening.
        idle_cpu: processor time for each second, in percent of one core.
        restart: from the start of a new process to every resource visited.
        restart_writes: its writes to ModelDeployments and children.
        load: the machine's load average over one minute before the run.
    """

    size: int
    kubectl: float | None
    children: float
    ready: float
    cpu_ms: float
    memory_mib: float
    peak_mib: float
    change_p50: float
    change_p99: float
    idle_calls: float
    idle_cpu: float
    restart: float
    restart_cpu: float
    restart_mib: float
    restart_writes: float
    load: float

    @property
    def ratio(self) -> float | None:
        """How many times as long as kubectl the operator needs for all children."""
        return self.children / self.kubectl if self.kubectl else None


# One row: what it is called, the target in words, and how a run's figure is written.
_ROWS: tuple[tuple[str, str, str], ...] = (
    ("`kubectl apply --server-side` of the same children", "", "{0.kubectl:.1f} s"),
    ("new at once: all children there", "", "{0.children:.1f} s"),
    ("… as a multiple of kubectl's time", "≤ 2 at 1,000", "{0.ratio:.2f}"),
    ("… all Ready", "", "{0.ready:.1f} s"),
    ("… operator CPU for each", "≤ 8 ms", "{0.cpu_ms:.1f} ms"),
    ("memory when idle", "≤ 250 MiB at 5,000", "{0.memory_mib:.0f} MiB"),
    ("memory, peak", "", "{0.peak_mib:.0f} MiB"),
    ("change of the spec to its Deployment, p50", "", "{0.change_p50:.3f} s"),
    ("… p99", "< 1 s at 5,000", "{0.change_p99:.3f} s"),
    ("idle: API calls for each resource and minute", "< 1", "{0.idle_calls:.3f}"),
    ("idle: CPU, of one core", "", "{0.idle_cpu:.1f} %"),
    ("restart: every resource visited after", "≤ 30 s at 5,000", "{0.restart:.1f} s"),
    ("… writes", "0", "{0.restart_writes:.0f}"),
    ("… CPU", "", "{0.restart_cpu:.1f} s"),
    ("… memory, peak", "≤ 250 MiB at 5,000", "{0.restart_mib:.0f} MiB"),
    ("load average of the machine before", "", "{0.load:.1f}"),
)
_BESIDE_KUBECTL = ("{0.kubectl:.1f} s", "{0.ratio:.2f}")


def table(runs: Sequence[Figures]) -> str:
    """Give the runs as a Markdown table, the targets beside them."""
    sizes = " | ".join(f"{run.size:,}" for run in runs)
    lines = [f"| ModelDeployments | target | {sizes} |", "|---|---|" + "---:|" * len(runs)]
    for name, target, form in _ROWS:
        cells = ("-" if run.kubectl is None and form in _BESIDE_KUBECTL else form.format(run) for run in runs)
        lines.append(f"| {name} | {target} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that at least `share` of all values don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def verdict(missed_targets: Sequence[str]) -> str:
    """Give the sentence below the table: what was missed, or that nothing was."""
    return f"Missed: {'; '.join(missed_targets)}." if missed_targets else "No target was missed."


def missed(runs: Sequence[Figures]) -> list[str]:
    """List the targets that were not met, in words; a target that speaks of a size is asked of that size only."""
    found: list[str] = []
    for run in runs:
        met = {
            "operator CPU for each ≤ 8 ms": run.cpu_ms <= 8,
            "API calls for each idle resource and minute < 1": run.idle_calls < 1,
            "no write in a restart": run.restart_writes == 0,
            "children within twice kubectl's time": run.size != 1000 or run.ratio is None or run.ratio <= 2,
            "p99 of a change < 1 s": run.size != 5000 or run.change_p99 < 1,
            "restart ≤ 30 s": run.size != 5000 or run.restart <= 30,
            "memory ≤ 250 MiB": run.size != 5000 or max(run.peak_mib, run.restart_mib) <= 250,
        }
        found += [f"{run.size:,}: {target}" for target, is_met in met.items() if not is_met]
    return found
