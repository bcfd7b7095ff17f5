"""The targets of the runtime's speed: each compares figures of one run. Pure.

Used by `runtime`. A target whose figures were not all measured is not judged.
"""

import dataclasses
from collections.abc import Iterator

from bench import runtime_figures
from bench.runtime_servers import ACCELERATED, LIMIT, OURS, PLAIN

_MLSERVERS = ("mlserver", "mlserver-inline", "mlserver-batching")


@dataclasses.dataclass(frozen=True)
class Judged:
    """One target, with the figure that was measured."""

    words: str
    is_met: bool


@dataclasses.dataclass(frozen=True)
class _Limit:
    """`what` of `ours` must be at least (or, with a `most`, at most) that multiple of `theirs`."""

    case: str
    ours: str
    theirs: str
    connections: int
    what: str
    least: float | None = None
    most: float | None = None


_LIMITS = (
    _Limit("pipeline", PLAIN, "kserve-v2", 16, "rate", least=6),
    _Limit("pipeline", PLAIN, "mlserver-inline", 16, "rate", least=6),
    _Limit("pipeline", PLAIN, "mlserver", 16, "rate", least=15),
    _Limit("pipeline", PLAIN, "mlserver-batching", 16, "rate", least=3),
    *(
        _Limit("pipeline", PLAIN, theirs, 16, "p99_ms", most=0.25)
        for theirs in ("kserve-v2", *_MLSERVERS)
    ),
    _Limit("pipeline", ACCELERATED, "kserve-v2", 16, "rate", least=12),
    _Limit("pipeline", ACCELERATED, "mlserver-inline", 16, "rate", least=12),
    _Limit("forest", PLAIN, "mlserver", 16, "rate", least=6),
    _Limit("forest", ACCELERATED, "mlserver-batching", 16, "rate", least=20),
    *(_Limit("pipeline", PLAIN, theirs, 1, "p50_ms", most=1 / 2) for theirs in _MLSERVERS),
    _Limit("pipeline", PLAIN, "kserve-v2", 1, "p50_ms", most=1 / 3),
    _Limit("linear", ACCELERATED, LIMIT, 16, "rate", least=1 / 2),
)  # fmt: skip
_NAMES = {"rate": "requests per second", "p99_ms": "p99", "p50_ms": "p50"}


def judge(report: runtime_figures.Report) -> list[Judged]:
    """Give every target that the run has the figures for."""
    return [*_compared(report), *_binary(report), *_never_slower(report), *_starts(report)]


def _compared(report: runtime_figures.Report) -> Iterator[Judged]:
    for limit in _LIMITS:
        ours = report.drive(limit.case, limit.ours, limit.connections)
        theirs = report.drive(limit.case, limit.theirs, limit.connections)
        if ours is None or theirs is None:
            continue
        ratio = getattr(ours, limit.what) / getattr(theirs, limit.what)
        where = f"{limit.case}, {limit.connections} connections"
        yield _judged(
            f"{where}: {_NAMES[limit.what]} of {limit.ours} against {limit.theirs}",
            ratio,
            limit.least,
            limit.most,
        )


def _binary(report: runtime_figures.Report) -> Iterator[Judged]:
    for ours in OURS:
        binary, plain = report.drive("bulk-binary", ours, 16), report.drive("bulk", ours, 16)
        if binary is not None and plain is not None:
            yield _judged(
                f"bulk: requests per second of {ours} in binary against JSON", binary.rate / plain.rate, 5
            )


def _never_slower(report: runtime_figures.Report) -> Iterator[Judged]:
    peers = [each for each in report.drives if each.server not in (*OURS, LIMIT)]
    for ours in (each for each in report.drives if each.server in OURS):
        faster = [
            each
            for each in peers
            if (each.case, each.connections) == (ours.case, ours.connections) and each.rate > ours.rate
        ]
        where = f"{ours.case}, {ours.connections} connections: {ours.server} is slower than no peer"
        by = "".join(f"; {each.server} does {each.rate / ours.rate:.2f} times as much" for each in faster)
        yield Judged(f"{where}{by}", not faster)


def _starts(report: runtime_figures.Report) -> Iterator[Judged]:
    limits = (
        ("kserve-v2", "seconds", 1 / 2),
        ("mlserver", "seconds", 1 / 4),
        ("kserve-v2", "memory_mib", 0.8),
        ("mlserver", "memory_mib", 0.45),
    )
    words = {"seconds": "time to the first answer", "memory_mib": "idle memory"}
    for ours in OURS:
        for theirs, what, most in limits:
            here, there = report.start(ours), report.start(theirs)
            if here is not None and there is not None:
                ratio = getattr(here, what) / getattr(there, what)
                yield _judged(f"{words[what]} of {ours} against {theirs}", ratio, None, most)


def _judged(words: str, ratio: float, least: float | None = None, most: float | None = None) -> Judged:
    if least is not None:
        return Judged(f"{words}: {ratio:.2f} times, at least {least:.2g}", ratio >= least)
    assert most is not None  # noqa: S101 - every target has one of the two
    return Judged(f"{words}: {ratio:.2f} times, at most {most:.2g}", ratio <= most)
