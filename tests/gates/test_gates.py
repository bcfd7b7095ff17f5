"""Every planted bug turns its named test red, and without it the same test is green."""

import pytest

from tests.gates import bugs, planting

_MISTAKES = [bug.mistake for bug in bugs.BUGS]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[str, planting.Outcome]:
    """Try out, two at a time, the bugs that were asked for."""
    asked = {item.name for item in request.session.items}
    chosen = [bug for bug in bugs.BUGS if any(bug.mistake in name for name in asked)]
    return planting.try_all(chosen)


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_a_planted_bug_turns_its_test_red(mistake: str, outcomes: dict[str, planting.Outcome]) -> None:
    outcome = outcomes[mistake]
    assert outcome.has_run, f"the test could not even be tried: {outcome.words}"
    assert outcome.has_failed, f"the bug went unnoticed: {outcome.words}"


def test_without_a_bug_the_same_tests_are_green() -> None:
    outcome = planting.try_healthy(bugs.BUGS)
    assert outcome.has_run, outcome.words
    assert not outcome.has_failed, outcome.words


def test_there_are_at_least_twenty_and_each_is_another() -> None:
    assert len(set(_MISTAKES)) == len(bugs.BUGS) >= 20
    assert len({(bug.file, bug.old, bug.new) for bug in bugs.BUGS}) == len(bugs.BUGS)


def test_a_bug_that_no_longer_fits_is_told() -> None:
    stale = bugs.Bug("none", "operator/modelyard_operator/plan.py", "text that is not there", "", "")
    with pytest.raises(planting.OutOfDate, match="0 times"):
        planting.planted(stale)


def test_a_test_that_does_not_exist_counts_as_not_run() -> None:
    bug = bugs.BUGS[1]
    missing = bugs.Bug(bug.mistake, bug.file, bug.old, bug.new, "tests/unit/operator/test_plan.py::test_none")
    assert not planting.try_out(missing).has_run
