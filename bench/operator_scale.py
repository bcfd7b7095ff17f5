"""`python -m bench.operator_scale`: how the operator does with hundreds and thousands of ModelDeployments.

Called by `make bench-operator`. Prints the table of figures and targets; `--write` puts it into docs/benchmarks.md.
Progress goes to standard error. Whatever ends it, nothing stays behind.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from bench import figures, interruption, measures, page
from devcluster import errors, progress
from modelyard_operator import errors as operator_errors

SIZES = (300, 1000, 5000)
LARGE = 10_000
SECTION = "bench-operator"
_FAILURES = (
    errors.DevclusterError,
    operator_errors.ClusterError,
    TimeoutError,
    RuntimeError,
    AssertionError,
    ExceptionGroup,
)
_INHERITED = ("PATH", "PYTHONPATH", "HOME")


def main(arguments: list[str] | None = None) -> int:
    """Measure as the command line says; give 0, or 1 when a run did not end or, with --check, a target was missed."""
    chosen = _parser().parse_args(arguments)
    progress.write_to(sys.stderr)
    environ = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    try:
        runs = interruption.run(_run(chosen, environ))
    except _FAILURES as error:
        print(f"The measurement could not go on: {_words(error)}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("Stopped; everything that was started is removed.", file=sys.stderr)
        return 130
    missed = figures.missed(runs)
    text = f"{figures.table(runs)}\n\n{figures.verdict(missed)}"
    print(text)
    if chosen.json:
        chosen.json.write_text(json.dumps([dataclasses.asdict(run) for run in runs], indent=2) + "\n")
    if chosen.write:
        page.PAGE.write_text(page.with_section(page.PAGE.read_text(), SECTION, f"{_machine()}\n\n{text}"))
    return 1 if missed and chosen.check else 0


def _words(error: Exception) -> str:
    """Give what went wrong: of a group, what its members say."""
    return (
        "; ".join(_words(each) for each in error.exceptions)
        if isinstance(error, ExceptionGroup)
        else str(error)
    )


async def _run(chosen: argparse.Namespace, environ: Mapping[str, str]) -> list[figures.Figures]:
    sizes = [*chosen.sizes, *([LARGE] if chosen.large else [])]
    runs: list[figures.Figures] = []
    for size in sizes:
        progress.line("doing", f"{size:,} ModelDeployments")
        order = measures.Order(
            size=size,
            changes=min(chosen.changes, size),
            idle_seconds=chosen.idle_seconds,
            environ=dict(environ),
            stock_limits=chosen.stock_limits,
            profile=chosen.profile,
        )
        runs.append(await measures.run(order))
    return runs


def _machine() -> str:
    python = platform.python_version()
    return f"{os.cpu_count()} cores shared with the control plane, Python {python}, {platform.machine()}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.operator_scale", description=__doc__)
    parser.add_argument(
        "--sizes",
        type=lambda text: [int(part) for part in text.split(",")],
        default=list(SIZES),
        help="how many ModelDeployments, separated by commas; a run for each (default: 300,1000,5000)",
    )
    parser.add_argument("--large", action="store_true", help=f"{LARGE:,} too")
    parser.add_argument("--changes", type=int, default=150, help="changes of a spec (default: %(default)s)")
    parser.add_argument(
        "--idle-seconds", type=float, default=60, help="how long nothing happens (default: %(default)s)"
    )
    parser.add_argument(
        "--stock-limits",
        action="store_true",
        help="leave controller manager and scheduler at 20 and 50 requests a second",
    )
    parser.add_argument(
        "--profile", type=Path, help="profile the operator into this file; its times lie then"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--write", action="store_true", help=f"write the table into {page.PAGE}")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target was missed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
