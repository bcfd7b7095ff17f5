"""`plan`: what is written, what is never touched, and how a write prints itself."""

from typing import Any

import pytest

from modelyard_operator import api, errors, naming, plan
from modelyard_operator.objects import Kind
from modelyard_operator.observed import Observed

IDENTITY = api.Identity(namespace="default", name="iris", uid="uid-1", generation=1, is_deleting=False)
OURS = {"kind": naming.KIND, "name": "iris", "uid": "uid-1", "controller": True}


def budget(*owners: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    kind = Kind.DISRUPTION_BUDGET
    found = {
        "name": "iris",
        "namespace": "default",
        "uid": "uid-9",
        "ownerReferences": list(owners),
        **metadata,
    }
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": found,
        "spec": {"maxUnavailable": 1},
    }


def planned(live: dict[str, Any] | None, *, wanted: bool) -> tuple[plan.Action, ...]:
    want = {Kind.DISRUPTION_BUDGET: budget(OURS)} if wanted else {}
    seen = Observed(children={Kind.DISRUPTION_BUDGET: live} if live else {})
    return plan.plan(IDENTITY, want, seen)


def test_what_is_missing_is_created() -> None:
    (action,) = planned(None, wanted=True)
    assert str(action) == "create PodDisruptionBudget iris"


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert planned(budget(OURS), wanted=True) == ()


def test_what_is_different_is_applied_to_exactly_the_object_that_was_looked_at() -> None:
    live = budget(OURS) | {"spec": {"maxUnavailable": 2}}
    (action,) = planned(live, wanted=True)
    assert isinstance(action, plan.Apply)
    assert (action.uid, action.force, action.manager) == ("uid-9", True, naming.MANAGER)
    assert str(action) == "apply PodDisruptionBudget iris (spec.maxUnavailable)"


def test_what_is_no_longer_wanted_is_deleted_by_its_uid() -> None:
    (action,) = planned(budget(OURS), wanted=False)
    assert action == plan.Delete(Kind.DISRUPTION_BUDGET, "default", "iris", "uid-9")
    assert str(action) == "delete PodDisruptionBudget iris"


FOREIGN = {
    "nobody's": budget(),
    "another kind's": budget({"kind": "App", "name": "iris", "uid": "uid-1x", "controller": True}),
    "ours, but not as controller": budget({**OURS, "controller": False}),
}


@pytest.mark.parametrize("owner", FOREIGN)
def test_what_is_not_ours_is_neither_deleted_nor_written(owner: str) -> None:
    assert planned(FOREIGN[owner], wanted=False) == ()
    with pytest.raises(errors.Stalled, match="PodDisruptionBudget iris exists already") as refused:
        planned(FOREIGN[owner], wanted=True)
    assert refused.value.reason == "NameTaken"


LEAVING = {
    "of an earlier resource of that name": budget({**OURS, "uid": "uid-0"}),
    "ours and being deleted": budget(OURS, deletionTimestamp="2026-01-01T00:00:00Z"),
    "somebody's and being deleted": budget(deletionTimestamp="2026-01-01T00:00:00Z"),
}


@pytest.mark.parametrize("whose", LEAVING)
def test_what_is_leaving_is_waited_for(whose: str) -> None:
    assert planned(LEAVING[whose], wanted=False) == ()
    with pytest.raises(errors.Waiting, match="is still being deleted"):
        planned(LEAVING[whose], wanted=True)


def deployment(replicas: int, *managers: str) -> dict[str, Any]:
    kind = Kind.DEPLOYMENT
    owned = [
        {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        for manager in managers
    ]
    metadata = {
        "name": "iris",
        "namespace": "default",
        "uid": "uid-2",
        "ownerReferences": [OURS],
        "managedFields": owned,
    }
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": metadata,
        "spec": {"replicas": replicas},
    }


def handover(live: dict[str, Any]) -> list[tuple[str, Any, bool]]:
    """Give (manager, replicas, forced) of each write to the Deployment once an autoscaler is wanted."""
    metadata = {"name": "iris", "namespace": "default", "ownerReferences": [OURS]}
    autoscaler = {
        "apiVersion": Kind.AUTOSCALER.api_version,
        "kind": Kind.AUTOSCALER.kind,
        "metadata": metadata,
        "spec": {"minReplicas": 2},
    }
    kind = Kind.DEPLOYMENT
    wanted = {
        Kind.DEPLOYMENT: {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": metadata,
            "spec": {},
        },
        Kind.AUTOSCALER: autoscaler,
    }
    actions = plan.plan(IDENTITY, wanted, Observed(children={Kind.DEPLOYMENT: live}))
    return [
        (action.manager, action.manifest["spec"].get("replicas"), action.force)
        for action in actions
        if isinstance(action, plan.Apply) and action.manifest["kind"] == "Deployment"
    ]


def test_our_number_gets_a_second_owner_before_we_let_go() -> None:
    expected = [(naming.HANDOVER_MANAGER, 4, False), (naming.MANAGER, None, True)]
    assert handover(deployment(4, naming.MANAGER)) == expected


def test_a_number_that_has_a_second_owner_is_simply_let_go() -> None:
    assert handover(deployment(4, naming.MANAGER, "kube-controller-manager")) == [
        (naming.MANAGER, None, True)
    ]
    assert handover(deployment(4, naming.MANAGER, naming.HANDOVER_MANAGER)) == [(naming.MANAGER, None, True)]


def test_a_number_that_is_not_ours_is_left_alone() -> None:
    assert handover(deployment(4, "kube-controller-manager")) == []


def test_a_stopped_model_is_started_with_the_autoscalers_minimum() -> None:
    assert handover(deployment(0, "kubectl-edit")) == [(naming.HANDOVER_MANAGER, 2, True)]
