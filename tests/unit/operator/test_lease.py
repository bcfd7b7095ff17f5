"""`lease`: who may take it, and when."""

import pytest

from modelyard_operator import lease
from modelyard_operator.objects import Manifest

WHERE = ("modelyard-system", "modelyard-operator")


def held(holder: str, version: str = "7", **spec: object) -> Manifest:
    return {
        "metadata": {"name": WHERE[1], "namespace": WHERE[0], "resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": lease.DURATION_SECONDS, **spec},
    }


FRESH: Manifest = {"metadata": {"resourceVersion": "1"}}
GIVEN_BACK = held("", leaseDurationSeconds=1)
EMPTIED = held("")
PUT_BACK = {**lease.restored(*WHERE), "metadata": {"resourceVersion": "1"}}


@pytest.mark.parametrize(
    ("found", "age", "leading", "expected"),
    [
        pytest.param(FRESH, 0, False, lease.Acquire, id="one that nobody has had is taken at once"),
        pytest.param(GIVEN_BACK, 0, False, lease.Acquire, id="one given back is taken at once"),
        pytest.param(held("me"), 0, True, lease.Renew, id="ours is renewed"),
        pytest.param(
            held("me"), 0, False, lease.Renew, id="ours by a write that was not answered is renewed"
        ),
        pytest.param(held("me"), 99, True, lease.Renew, id="ours is renewed however late"),
        pytest.param(held("b"), 0, False, lease.Wait(1.5), id="another's is looked at again"),
        pytest.param(held("b"), 9.5, False, lease.Wait(0.5), id="another's is looked at when it runs out"),
        pytest.param(held("b"), 10, False, lease.Acquire, id="another's that has run out is taken"),
        pytest.param(held("b"), 0, True, lease.Lost("b"), id="another's that was ours is lost"),
        pytest.param(held("b"), 99, True, lease.Lost("b"), id="another's that was ours is lost for good"),
        pytest.param(EMPTIED, 0, False, lease.Wait(1.5), id="one emptied by hand may still be believed in"),
        pytest.param(EMPTIED, 10, False, lease.Acquire, id="one emptied by hand long ago is taken"),
        pytest.param(GIVEN_BACK, 0, True, lease.Wait(1.5), id="given back in our name by somebody else"),
        pytest.param(None, 0, False, lease.Wait(1.5), id="one that is missing may be meant to be"),
        pytest.param(None, 4.5, True, lease.Wait(0.5), id="one that is missing is looked for again"),
        pytest.param(None, 5, False, lease.Restore(), id="one that stays away is put back"),
        pytest.param(PUT_BACK, 0, False, lease.Wait(1.5), id="one put back may have a holder who is unaware"),
        pytest.param(PUT_BACK, 10, True, lease.Acquire, id="one put back long ago is taken"),
        pytest.param(
            held("b", leaseDurationSeconds=30), 15, False, lease.Wait(1.5), id="another version's promise"
        ),
        pytest.param(held("b", leaseDurationSeconds=10**6), 60, False, lease.Acquire, id="an absurd promise"),
    ],
)
def test_what_is_to_be_done(
    found: Manifest | None, age: float, leading: bool, expected: lease.Decision | type[lease.Decision]
) -> None:
    seen = lease.Observation(found, since=100.0)
    decision = lease.decide(seen, "me", is_leading=leading, now=100.0 + age)
    assert expected in (decision, type(decision))


def test_a_lease_emptied_under_our_eyes_is_not_taken_for_a_new_one() -> None:
    before = lease.observe(None, held("b"), 100.0)
    seen = lease.observe(before, FRESH, 101.0)
    assert lease.decide(seen, "me", is_leading=False, now=101.0) == lease.Wait(1.5)
    assert lease.decide(seen, "me", is_leading=False, now=111.0) == lease.Acquire(FRESH)


def test_what_has_not_changed_keeps_its_age_and_what_has_is_new() -> None:
    before = lease.observe(None, held("b", "7"), 100.0)
    assert lease.observe(before, held("b", "7"), 105.0).since == 100.0
    assert lease.observe(before, held("b", "8"), 105.0).since == 105.0
    assert lease.observe(lease.observe(None, None, 100.0), None, 105.0).since == 100.0


def test_after_an_outage_for_all_the_holder_gets_its_time_anew() -> None:
    before = lease.observe(None, held("b"), 100.0)
    for seconds in (101.5, 103.0, 104.5):
        before = lease.observe(before, held("b"), seconds)
    assert before.since == 100.0
    after = lease.observe(before, held("b"), 150.0)
    assert lease.decide(after, "me", is_leading=False, now=150.0) == lease.Wait(1.5)
    assert lease.decide(after, "me", is_leading=False, now=160.0) == lease.Acquire(held("b"))


def test_taking_over_counts_the_transition_and_renewing_does_not() -> None:
    first = lease.taken(lease.restored(*WHERE), "me", "t1")
    assert first["metadata"]["name"] == WHERE[1]
    assert first["spec"]["leaseTransitions"] == 1
    renewed = lease.taken(first, "me", "t2")["spec"]
    assert (renewed["acquireTime"], renewed["renewTime"], renewed["leaseTransitions"]) == ("t1", "t2", 1)
    other = lease.taken(first, "other", "t3")["spec"]
    assert (other["holderIdentity"], other["acquireTime"], other["leaseTransitions"]) == ("other", "t3", 2)


def test_a_write_names_the_version_it_replaces() -> None:
    assert lease.taken(held("b", "7"), "me", "t")["metadata"]["resourceVersion"] == "7"
    back = lease.given_back(held("me", "8"), "me", "t")
    assert back is not None
    assert back["metadata"]["resourceVersion"] == "8"


@pytest.mark.parametrize("found", [None, FRESH, EMPTIED, held("b")])
def test_what_is_not_ours_is_not_given_back(found: Manifest | None) -> None:
    assert lease.given_back(found, "me", "t") is None


def test_one_that_its_holder_gives_back_is_taken_at_once() -> None:
    back = lease.given_back(held("b"), "b", "t")
    assert back is not None
    stored = {**back, "metadata": {"resourceVersion": "9"}}
    seen = lease.observe(lease.observe(None, held("b"), 0.0), stored, 1.0)
    assert lease.decide(seen, "me", is_leading=False, now=1.0) == lease.Acquire(stored)


def test_the_times_leave_room_for_each_other() -> None:
    """Two attempts before the deadline, seconds between the last write and the heir, and 15 s for all of it."""
    assert lease.RENEW_SECONDS + 2 * lease.CALL_SECONDS <= lease.DEADLINE_SECONDS
    assert lease.DEADLINE_SECONDS + 3 <= lease.DURATION_SECONDS
    assert lease.POLL_SECONDS + lease.DURATION_SECONDS + lease.CALL_SECONDS < 15
