"""What the runtime's benchmark gives and how it is shown: medians, tables, and ratios within one run. Pure.

The targets are in `runtime_targets`.
"""

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

_Figure = TypeVar("_Figure", "Drive", "Start")


@dataclasses.dataclass(frozen=True)
class Drive:
    """One server under load, or the median of several rounds of it.

    Attributes:
        rate: requests per second.
        p50_ms: latency.
        cpu_us: processor time of the server's whole process tree for each request.
    """

    case: str
    server: str
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


@dataclasses.dataclass(frozen=True)
class Start:
    """One start of a server with nothing else running, or the median of several.

    Attributes:
        seconds: from the start of the process to the first right answer.
        cpu_seconds: processor time until then.
        memory_mib: proportional set size of the process tree after the first answers.
    """

    server: str
    seconds: float
    cpu_seconds: float
    memory_mib: float


@dataclasses.dataclass(frozen=True)
class Report:
    """A whole run; `titles` gives the words for the names of cases and servers, in the order of the tables.

    Attributes:
        absent: server, or server and case, to why there is no figure.
        notes: versions, machine and load, a sentence each.
    """

    starts: tuple[Start, ...]
    drives: tuple[Drive, ...]
    titles: dict[str, str]
    absent: dict[str, str]
    notes: tuple[str, ...] = ()

    def drive(self, case: str, server: str, connections: int) -> Drive | None:
        """Give the median of a case, or None when it was not measured."""
        found = (
            each
            for each in self.drives
            if (each.case, each.server, each.connections) == (case, server, connections)
        )
        return next(found, None)

    def start(self, server: str) -> Start | None:
        """Give the median start of a server, or None when it was not measured."""
        return next((each for each in self.starts if each.server == server), None)


def median_drives(rounds: Iterable[Drive]) -> tuple[Drive, ...]:
    """Give one drive for each case, server and number of connections, each figure the median of its rounds."""
    groups: dict[tuple[str, str, int], list[Drive]] = {}
    for each in rounds:
        groups.setdefault((each.case, each.server, each.connections), []).append(each)
    return tuple(
        Drive(*key, *(_median(group, field) for field in ("rate", "p50_ms", "p99_ms", "cpu_us")))
        for key, group in groups.items()
    )


def median_starts(rounds: Iterable[Start]) -> tuple[Start, ...]:
    """Give one start for each server, each figure the median of its rounds."""
    groups: dict[str, list[Start]] = {}
    for each in rounds:
        groups.setdefault(each.server, []).append(each)
    return tuple(
        Start(server, *(_median(group, field) for field in ("seconds", "cpu_seconds", "memory_mib")))
        for server, group in groups.items()
    )


def _median(group: Sequence[Drive] | Sequence[Start], field: str) -> float:
    values: list[float] = [getattr(each, field) for each in group]
    return statistics.median(values)


def document(report: Report, base: str) -> str:
    """Give all tables in Markdown; `base` is the server that the others are compared with."""
    cases = dict.fromkeys(each.case for each in report.drives)
    parts = [" ".join(report.notes)] if report.notes else []
    parts += [_case_table(report, case, base) for case in cases]
    if report.starts:
        parts.append(_start_table(report, base))
    if report.absent:
        parts.append("\n".join(f"- no figure for {what}: {why}" for what, why in report.absent.items()))
    return "\n\n".join(parts)


def _case_table(report: Report, case: str, base: str) -> str:
    drives = [each for each in report.drives if each.case == case]
    blocks = [f"### {_capital(report.titles[case])}"]
    for connections in sorted({each.connections for each in drives}):
        measured = [each for each in drives if each.connections == connections]
        compared = report.drive(case, base, connections)
        base_rate = compared.rate if compared else None
        head = f"{connections} connection{'s' if connections > 1 else ''}"
        columns: dict[str, Callable[[Drive], str]] = {
            "requests/s": lambda each: _grouped(each.rate),
            "ratio": lambda each, base_rate=base_rate: _ratio(each.rate, base_rate),  # type: ignore[misc]
            "p50 ms": lambda each: _short(each.p50_ms),
            "p99 ms": lambda each: _short(each.p99_ms),
            "CPU µs/request": lambda each: _grouped(each.cpu_us),
        }
        rows = {report.titles[each.server]: each for each in _in_order(measured, report)}
        blocks.append(_table(head, columns, rows))
    return "\n\n".join(blocks)


def _start_table(report: Report, base: str) -> str:
    ours = report.start(base)
    columns: dict[str, Callable[[Start], str]] = {
        "to the first answer": lambda each: f"{each.seconds:.2f} s",
        "ratio": lambda each: _ratio(each.seconds, ours.seconds if ours else None),
        "CPU until then": lambda each: f"{each.cpu_seconds:.2f} s",
        "memory": lambda each: f"{each.memory_mib:.0f} MiB",
        "memory ratio": lambda each: _ratio(each.memory_mib, ours.memory_mib if ours else None),
    }
    rows = {report.titles[each.server]: each for each in _in_order(report.starts, report)}
    return "### Start and memory\n\n" + _table("alone on the machine", columns, rows)


def _in_order(figures: Iterable[_Figure], report: Report) -> list[_Figure]:
    order = list(report.titles)
    return sorted(figures, key=lambda each: order.index(each.server))


def _table(head: str, columns: dict[str, Callable[[_Figure], str]], rows: dict[str, _Figure]) -> str:
    lines = [f"| {' | '.join([head, *columns])} |", "|---|" + "---:|" * len(columns)]
    lines += [_line(title, columns, figure) for title, figure in rows.items()]
    return "\n".join(lines)


def _line(title: str, columns: dict[str, Callable[[_Figure], str]], figure: _Figure) -> str:
    return f"| {' | '.join([title, *(show(figure) for show in columns.values())])} |"


def _ratio(value: float, base: float | None) -> str:
    return "" if not base else _short(value / base)


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _grouped(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
