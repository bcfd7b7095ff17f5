"""The verdict of the long campaigns: what counts as passed, and how a failure is played again."""

from tests.torture import campaign

ORDER = campaign.Order(seed=7)
GOOD = campaign.Row("a good case", True)
BAD = campaign.Row("a bad case", False, "two Deployments", campaign.replay("crash", ORDER, "a bad case"))


def test_one_failed_case_fails_the_whole_and_is_told_with_its_replay() -> None:
    outcomes = {"crash": [GOOD, BAD], "watch": [GOOD]}
    assert not campaign.has_passed(outcomes)
    text = campaign.table(outcomes)
    assert "crash      2       1  FAILED" in text
    assert "watch      1       0  passed" in text
    assert "two Deployments" in text
    assert "python -m tests.torture --only crash --seed 7 --case 'a bad case'" in text


def test_a_campaign_that_has_tried_nothing_has_not_passed() -> None:
    outcomes: dict[str, list[campaign.Row]] = {"crash": []}
    assert not campaign.has_passed(outcomes)
    assert "FAILED (no case)" in campaign.table(outcomes)


def test_a_budget_of_nothing_is_spent_at_once() -> None:
    assert campaign.Budget(campaign.Order(seed=1, budget_seconds=0)).is_spent()
    assert not campaign.Budget(ORDER).is_spent()
