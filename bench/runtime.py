"""`python -m bench.runtime`: the runtime beside other model servers, each on one core.

Called by `make bench-runtime`. Prints tables and targets; `--write` puts the tables, with a picture of them, into
docs/benchmarks.md. Progress goes to standard error. Whatever ends it, nothing stays behind but the peers' environments
in the cache.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import (
    interruption,
    page,
    runtime_cases,
    runtime_chart,
    runtime_figures,
    runtime_measures,
    runtime_running,
    runtime_servers,
    runtime_targets,
)
from devcluster import commands, errors, packages, progress

SECTION = "bench-runtime"
CHART = page.PAGE.parent / "images" / "benchmark-runtime.svg"
CHART_CASES = ("pipeline", "forest")
CHART_CONNECTIONS = 16
_PICTURE = f"![Requests per second on one core, with {CHART_CONNECTIONS} connections](images/{CHART.name})"
QUICK_CASES = ("pipeline",)
QUICK_CONNECTIONS = (1, 16)
_VERSIONS = (
    "import importlib.metadata as m, sys; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ')"
)
# What a server takes for starting, proving itself and warming up, on a quiet machine.
_START_SECONDS = 5.5
_DRIVE_OVERHEAD_SECONDS = 0.2


def main(arguments: list[str] | None = None) -> int:
    """Measure as the command line says; give 0, or 1 when it could not or, with --check, a target was missed."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    progress.write_to(sys.stderr)
    load = os.getloadavg()[0]
    try:
        order = _order(chosen)
    except ValueError as error:
        parser.error(str(error))
    absent: dict[str, str] = {}
    try:
        packages.require("load")
        runtime_servers.cores()
        versions = [text for server in order.servers if (text := _versions(server))]
        progress.line("doing", f"about {estimate_seconds(order) / 60:.0f} min, on a quiet machine")
        starts, drives = interruption.run(runtime_measures.run(order, absent))
    except (errors.DevclusterError, RuntimeError) as error:
        print(f"The measurement could not go on: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("Stopped; everything that was started is removed.", file=sys.stderr)
        return 130
    titles = {each.name: each.title for each in order.servers}
    titles |= {each.name: each.title for each in order.cases}
    report = runtime_figures.Report(
        runtime_figures.median_starts(starts),
        runtime_figures.median_drives(drives),
        titles,
        absent,
        _notes(order, versions, load),
    )
    return _show(report, chosen)


def _show(report: runtime_figures.Report, chosen: argparse.Namespace) -> int:
    judged = runtime_targets.judge(report)
    missed = [each for each in judged if not each.is_met]
    text = f"{runtime_figures.document(report, runtime_servers.PLAIN)}\n\n{_verdict(judged)}"
    print(text)
    for each in judged:
        print(f"{'met' if each.is_met else 'MISSED'}: {each.words}", file=sys.stderr)
    if chosen.json:
        chosen.json.write_text(json.dumps(dataclasses.asdict(report), indent=2) + "\n")
    if chosen.write:
        page.PAGE.write_text(page.with_section(page.PAGE.read_text(), SECTION, f"{_PICTURE}\n\n{text}"))
        CHART.write_text(_picture(report))
    is_absent = any(each.split()[0] in runtime_servers.OURS for each in report.absent)
    return 1 if chosen.check and (missed or is_absent) else 0


def _verdict(judged: Sequence[runtime_targets.Judged]) -> str:
    missed = "".join(f"\n- {each.words}" for each in judged if not each.is_met)
    return f"### Targets\n\n{len(judged)} judged; missed:{missed or ' none'}"


def _picture(report: runtime_figures.Report) -> str:
    # The constant on uvicorn is no model server, and beside it the others could not be told apart.
    drives = tuple(each for each in report.drives if each.server != runtime_servers.LIMIT)
    shown = dataclasses.replace(report, drives=drives)
    return runtime_chart.draw(shown, CHART_CASES, CHART_CONNECTIONS, runtime_servers.OURS)


def _order(chosen: argparse.Namespace) -> runtime_measures.Order:
    cases = chosen.cases or (QUICK_CASES if chosen.quick else [each.name for each in runtime_cases.CASES])
    peers = chosen.peers or [each.name for each in runtime_servers.SERVERS]
    connections = chosen.connections or (QUICK_CONNECTIONS if chosen.quick else None)
    return runtime_measures.Order(
        cases=tuple(each for each in runtime_cases.CASES if each.name in _known(cases, runtime_cases.CASES)),
        servers=tuple(
            each for each in runtime_servers.SERVERS if each.name in _known(peers, runtime_servers.SERVERS)
        ),
        rounds=chosen.rounds or (1 if chosen.quick else 3),
        seconds=chosen.seconds or (1 if chosen.quick else 2),
        connections=None if connections is None else tuple(connections),
        starts=not chosen.no_starts,
        environ=runtime_servers.inherited(os.environ),
    )


def _known(
    names: Sequence[str], known: Sequence[runtime_cases.Case] | Sequence[runtime_servers.Server]
) -> Sequence[str]:
    """Give the names back; raise ValueError when one of them is nobody's."""
    there = [each.name for each in known]
    for name in names:
        if name not in there:
            raise ValueError(f"{name!r} is none of: {', '.join(there)}")
    return names


def estimate_seconds(order: runtime_measures.Order) -> float:
    """Give about how long a run takes."""
    seconds = order.rounds * len(order.servers) * _START_SECONDS if order.starts else 0.0
    for case in order.cases:
        servers = sum(case.form in each.wordings for each in order.servers)
        drives = order.rounds * len(order.connections_of(case))
        seconds += servers * (_START_SECONDS + drives * (order.seconds + _DRIVE_OVERHEAD_SECONDS))
    return seconds


def _versions(server: runtime_servers.Server) -> str:
    """Give the versions of what a server consists of; this makes its environment when there is none."""
    if not server.packages:
        return ""
    python = runtime_running.python_of(server)
    return commands.run([python, "-c", _VERSIONS, *server.packages], timeout_seconds=60).strip()


def _notes(order: runtime_measures.Order, versions: list[str], load: float) -> tuple[str, ...]:
    return (
        f"{', '.join(versions)}; Python {platform.python_version()}, {platform.machine()}.",
        f"Median of {order.rounds} rounds of {order.seconds} s." if order.rounds > 1 else "One round.",
        f"Load average of the machine before: {load:.1f}.",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.runtime", description=__doc__)

    def names(text: str) -> list[str]:
        return text.split(",")

    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    cases = ", ".join(each.name for each in runtime_cases.CASES)
    servers = ", ".join(each.name for each in runtime_servers.SERVERS)
    parser.add_argument("--cases", type=names, help=f"separated by commas, of: {cases} (default: all)")
    parser.add_argument("--peers", type=names, help=f"separated by commas, of: {servers} (default: all)")
    parser.add_argument("--connections", type=numbers, help="only these of each case's (default: all)")
    parser.add_argument("--rounds", type=int, help="default: 3")
    parser.add_argument("--seconds", type=int, help="of one measurement (default: 2)")
    parser.add_argument("--no-starts", action="store_true", help="leave out starts and memory")
    parser.add_argument(
        "--quick", action="store_true", help="one case, one round of one second, 1 and 16 connections"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--write", action="store_true", help=f"write the tables into {page.PAGE}, and {CHART.name}"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target was missed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
