"""kubectl wait, kstatus and Argo CD's health agree with the status at every moment of every scenario.

Asked are the libraries themselves: kstatus as Flux and cli-utils link it, the health script in the Lua that Argo CD
embeds (devcluster/go/kstatus).
"""

from pathlib import Path
from typing import Any

import pytest

from modelyard_operator import conditions
from modelyard_operator.objects import Manifest
from tests.support import gitops

Judged = list[tuple[Manifest, gitops.Answer]]


@pytest.fixture(scope="module")
def judged() -> Judged:
    """Every state with what the tools say about it."""
    states = gitops.collect()
    return list(zip(states, gitops.judge(states), strict=True))


def expected(state: Manifest) -> tuple[str, str]:
    """Give what kstatus and Argo CD have to say, from the words of design.md alone."""
    status: dict[str, Any] = state.get("status") or {}
    if "deletionTimestamp" in state["metadata"]:
        return "Terminating", "Progressing"
    if status.get("observedGeneration") != state["metadata"]["generation"]:
        return "InProgress", "Progressing"
    told = {each["type"]: each for each in status["conditions"]}
    if conditions.STALLED in told:
        return "Failed", "Degraded"
    if told[conditions.READY]["status"] == "True":
        return "Current", "Healthy"
    if told[conditions.READY]["reason"] == conditions.PAUSED:
        return "InProgress", "Suspended"
    return "InProgress", "Progressing"


def test_each_state_is_what_the_tools_say_it_is(judged: Judged) -> None:
    wrong = [
        (state["metadata"], state.get("status"), answer, expected(state))
        for state, answer in judged
        if (answer.kstatus, answer.argo) != expected(state)
    ]
    assert wrong == []


def test_ready_current_and_healthy_are_the_same_states(judged: Judged) -> None:
    for state, answer in judged:
        if "deletionTimestamp" in state["metadata"]:
            continue  # kubectl wait alone still answers for what is on its way out
        is_ready = gitops.kubectl_would_return(state)
        assert (answer.kstatus == "Current") is is_ready, state
        assert (answer.argo == "Healthy") is is_ready, state


def test_degraded_and_failed_come_with_the_reason(judged: Judged) -> None:
    for state, answer in judged:
        assert (answer.argo == "Degraded") is (answer.kstatus == "Failed"), state
        if answer.argo == "Degraded":
            stalled = next(each for each in state["status"]["conditions"] if each["type"] == "Stalled")
            assert answer.argoMessage == f"{stalled['reason']}: {stalled['message']}"
            assert answer.kstatusMessage == stalled["message"]


def test_the_scenarios_reach_every_answer(judged: Judged) -> None:
    assert {(answer.kstatus, answer.argo) for _state, answer in judged} == {
        ("Terminating", "Progressing"),
        ("InProgress", "Progressing"),
        ("InProgress", "Suspended"),
        ("Failed", "Degraded"),
        ("Current", "Healthy"),
    }
    reasons = {
        each["reason"]
        for state, _answer in judged
        for each in (state.get("status") or {}).get("conditions", ())
    }
    assert {conditions.STOPPED, conditions.PAUSED, conditions.ROLLED_OUT, conditions.ROLLED_BACK} <= reasons


@pytest.mark.parametrize("abnormal", ["Reconciling", "Stalled"])
def test_a_condition_that_says_all_is_well_is_no_bad_news(abnormal: str) -> None:
    told = {"reason": "Fine", "message": "All is well.", "observedGeneration": 3}
    state = {
        "apiVersion": "modelyard.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "iris", "namespace": "default", "generation": 3},
        "status": {
            "observedGeneration": 3,
            "conditions": [
                {"type": "Ready", "status": "True", **told},
                {"type": abnormal, "status": "False", **told},
            ],
        },
    }
    (answer,) = gitops.judge([state])
    assert (answer.kstatus, answer.argo) == ("Current", "Healthy")


def test_the_documentation_installs_the_script_that_is_tested() -> None:
    text = Path("docs/gitops.md").read_text()
    assert "resource.customizations.health.modelyard.dev_ModelDeployment" in text
    assert "gitops/health.lua" in text
