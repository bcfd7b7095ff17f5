"""What a measurement computes and shows."""

import dataclasses

import pytest

from bench import figures

RUN = figures.Figures(
    size=5000,
    kubectl=100.0,
    children=150.0,
    ready=200.0,
    cpu_ms=7.5,
    memory_mib=180.0,
    peak_mib=240.0,
    change_p50=0.05,
    change_p99=0.6,
    idle_calls=0.02,
    idle_cpu=0.5,
    restart=20.0,
    restart_cpu=12.0,
    restart_mib=230.0,
    restart_writes=0,
    load=0.3,
)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(number) for number in range(1, 101)], 0.99, 99.0),
        ([float(number) for number in range(1, 101)], 1.0, 100.0),
        ([7.0], 0.99, 7.0),
        ([1.0, 2.0], 0.0, 1.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], share: float, expected: float
) -> None:
    assert figures.percentile(values, share) == expected


def test_the_table_has_a_column_for_each_run_and_the_targets_beside_them() -> None:
    lines = figures.table([dataclasses.replace(RUN, size=300), RUN]).splitlines()
    assert lines[0] == "| ModelDeployments | target | 300 | 5,000 |"
    assert "| … as a multiple of kubectl's time | ≤ 2 at 1,000 | 1.50 | 1.50 |" in lines
    assert "| … writes | 0 | 0 | 0 |" in lines
    assert {line.count("|") for line in lines} == {5}


def test_what_kubectl_was_not_measured_for_is_left_open_and_misses_nothing() -> None:
    run = dataclasses.replace(RUN, kubectl=None)
    assert "| … as a multiple of kubectl's time | ≤ 2 at 1,000 | - |" in figures.table([run]).splitlines()
    assert figures.missed([run, dataclasses.replace(run, size=1000)]) == []


def test_a_run_within_all_targets_misses_none() -> None:
    assert figures.missed([RUN]) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cpu_ms": 8.1}, "CPU"),
        ({"idle_calls": 1.0}, "API calls"),
        ({"restart_writes": 1}, "no write"),
        ({"size": 1000, "children": 201.0}, "kubectl"),
        ({"change_p99": 1.0}, "p99"),
        ({"restart": 30.1}, "restart"),
        ({"peak_mib": 250.1}, "memory"),
        ({"restart_mib": 250.1}, "memory"),
    ],
)
def test_a_missed_target_is_named(change: dict[str, float], words: str) -> None:
    (told,) = figures.missed([dataclasses.replace(RUN, **change)])  # type: ignore[arg-type]
    assert words in told


def test_the_sentence_below_the_table_names_what_was_missed() -> None:
    assert figures.verdict([]) == "No target was missed."
    assert figures.verdict(["300: a", "5,000: b"]) == "Missed: 300: a; 5,000: b."
