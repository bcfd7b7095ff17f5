"""What the runtime's benchmark computes and shows."""

import dataclasses
from xml.etree import ElementTree

import pytest

from bench import runtime_chart, runtime_figures, runtime_targets
from bench.runtime_figures import Drive, Report, Start
from bench.runtime_servers import ACCELERATED, LIMIT, OURS, PLAIN


def drive(
    case: str, server: str, rate: float, connections: int = 16, p50: float = 1.0, p99: float = 2.0
) -> Drive:
    return Drive(case, server, connections, rate, p50, p99, cpu_us=1e6 / rate)


# Everything as it should be, with little to spare.
GOOD = Report(
    starts=(
        Start(ACCELERATED, 1.0, 0.5, 70),
        Start(PLAIN, 2.9, 2.5, 140),
        Start("kserve-v2", 6.0, 5.0, 190),
        Start("mlserver", 12.0, 9.0, 340),
    ),
    drives=(
        drive("pipeline", ACCELERATED, 12_000),
        drive("pipeline", PLAIN, 6_000, p99=2),
        drive("pipeline", "kserve-v2", 950, p99=9),
        drive("pipeline", "mlserver", 390, p99=9),
        drive("pipeline", "mlserver-inline", 990, p99=9),
        drive("pipeline", "mlserver-batching", 1_900, p99=9),
        drive("pipeline", ACCELERATED, 4_000, 1, p50=0.2),
        drive("pipeline", PLAIN, 2_000, 1, p50=0.4),
        drive("pipeline", "kserve-v2", 600, 1, p50=1.3),
        drive("pipeline", "mlserver-inline", 800, 1, p50=0.9),
        drive("linear", ACCELERATED, 11_000),
        drive("linear", LIMIT, 20_000),
        drive("forest", ACCELERATED, 9_500),
        drive("forest", PLAIN, 1_000),
        drive("forest", "mlserver", 110),
        drive("forest", "mlserver-batching", 450),
        drive("bulk", PLAIN, 100),
        drive("bulk-binary", PLAIN, 600),
    ),
    titles={
        **{name: name.title() for name in (ACCELERATED, PLAIN, "kserve-v2", LIMIT)},
        **{name: name for name in ("mlserver", "mlserver-inline", "mlserver-batching")},
        **{name: f"{name} case" for name in ("pipeline", "linear", "forest", "bulk", "bulk-binary")},
    },
    absent={},
)


def changed(case: str, server: str, connections: int = 16, **figures: float) -> Report:
    (index,) = (
        index
        for index, each in enumerate(GOOD.drives)
        if (each.case, each.server, each.connections) == (case, server, connections)
    )
    drives = list(GOOD.drives)
    drives[index] = dataclasses.replace(drives[index], **figures)  # type: ignore[arg-type]
    return dataclasses.replace(GOOD, drives=tuple(drives))


def missed(report: Report) -> list[str]:
    return [each.words for each in runtime_targets.judge(report) if not each.is_met]


def test_a_figure_is_the_median_of_its_rounds() -> None:
    rounds = [drive("linear", PLAIN, rate, p99=p99) for rate, p99 in ((100, 9), (300, 1), (200, 3))]
    (found,) = runtime_figures.median_drives(rounds)
    assert (found.rate, found.p99_ms, found.cpu_us) == (200, 3, 5000)
    (start,) = runtime_figures.median_starts([Start(PLAIN, seconds, 1, 100) for seconds in (3, 1, 2)])
    assert start.seconds == 2


def test_a_table_compares_every_server_with_the_base() -> None:
    lines = runtime_figures.document(GOOD, PLAIN).splitlines()
    assert "### Pipeline case" in lines
    assert "| 16 connections | requests/s | ratio | p50 ms | p99 ms | CPU µs/request |" in lines
    assert "| Kserve-V2 | 950 | 0.16 | 1.00 | 9.00 | 1,053 |" in lines
    assert "| mlserver | 12.00 s | 4.14 | 9.00 s | 340 MiB | 2.43 |" in lines


def test_what_has_no_figure_is_named_with_the_reason() -> None:
    report = dataclasses.replace(GOOD, absent={"flask in strings": "it answers 500"})
    assert "- no figure for flask in strings: it answers 500" in runtime_figures.document(report, PLAIN)


def test_a_run_within_all_targets_misses_none() -> None:
    assert missed(GOOD) == []


def test_what_was_not_measured_is_not_judged() -> None:
    assert runtime_targets.judge(Report((), (), {}, {})) == []


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (changed("pipeline", PLAIN, rate=5_910), "modelyard-plain against mlserver-inline: 5.97"),
        (changed("pipeline", "mlserver", rate=401), "modelyard-plain against mlserver: 14.96"),
        (changed("pipeline", "mlserver-batching", rate=2_001), "against mlserver-batching: 3.00"),
        (changed("pipeline", "kserve-v2", p99_ms=7.9), "p99 of modelyard-plain against kserve-v2: 0.25"),
        (changed("pipeline", ACCELERATED, rate=11_800), "modelyard against mlserver-inline: 11.92"),
        (changed("forest", "mlserver", rate=167), "modelyard-plain against mlserver: 5.99"),
        (changed("forest", ACCELERATED, rate=8_990), "modelyard against mlserver-batching: 19.98"),
        (changed("pipeline", "kserve-v2", 1, p50_ms=1.19), "p50 of modelyard-plain against kserve-v2: 0.34"),
        (changed("linear", LIMIT, rate=22_100), "modelyard against limit: 0.50"),
        (changed("bulk-binary", PLAIN, rate=499), "in binary against JSON: 4.99"),
        (changed("pipeline", "mlserver-inline", 1, rate=2_001), "slower than no peer; mlserver-inline does 1.00"),
    ],
)  # fmt: skip
def test_a_missed_target_is_named_with_the_figure(report: Report, words: str) -> None:
    (told,) = missed(report)
    assert words in told


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (Start(PLAIN, 3.1, 2.5, 140), ["first answer of modelyard-plain against kserve-v2", "against mlserver"]),
        (Start(PLAIN, 2.9, 2.5, 153), ["idle memory of modelyard-plain against kserve-v2: 0.81"]),
    ],
)  # fmt: skip
def test_starts_and_memory_have_targets_too(start: Start, words: list[str]) -> None:
    starts = tuple(start if each.server == PLAIN else each for each in GOOD.starts)
    told = missed(dataclasses.replace(GOOD, starts=starts))
    assert [any(word in each for each in told) for word in words] == [True] * len(words)
    assert len(told) == len(words)


def test_the_picture_has_a_bar_for_each_server_as_long_as_it_is_fast() -> None:
    text = runtime_chart.draw(GOOD, ["forest", "strings"], 16, OURS)
    picture = ElementTree.fromstring(text)  # noqa: S314 - written on the line above
    bars = [each for each in picture.iter() if each.tag.endswith("rect")]
    assert [each.get("class") for each in bars] == ["ours", "ours", "peer", "peer"]
    widths = [float(each.get("width", "0")) for each in bars]
    assert widths[1] / widths[0] == pytest.approx(1_000 / 9_500, rel=0.01)
    assert "1,000" in [each.text for each in picture.iter()]
