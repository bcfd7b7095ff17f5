"""What holds for the status of every ModelDeployment after every visit, whatever has happened to it.

`cluster_world.World.visit` asks after each visit of each scenario, in memory and on a real API server.
"""

from typing import Any

from modelyard_operator import conditions
from modelyard_operator.objects import Manifest

_REASONS = {
    conditions.AVAILABLE: conditions.AVAILABLE_REASONS,
    conditions.READY: {
        **conditions.READY_REASONS,
        **conditions.RECONCILING_REASONS,
        **conditions.STALLED_REASONS,
    },
    conditions.RECONCILING: conditions.RECONCILING_REASONS,
    conditions.STALLED: conditions.STALLED_REASONS,
}


def contradictions(resource: Manifest) -> list[str]:
    """Give every sentence that should hold for a visited resource and doesn't."""
    status = resource.get("status") or {}
    stated = {each["type"]: each for each in status.get("conditions") or ()}
    claims = {**_about_conditions(stated), **_about_the_whole(status, stated)}
    told = {
        "every condition speaks of the observed generation": all(
            each["observedGeneration"] == status.get("observedGeneration") for each in stated.values()
        ),
        "the status speaks of the present spec": status.get("observedGeneration")
        == resource["metadata"]["generation"],
    }
    return [sentence for sentence, holds in {**claims, **told}.items() if not holds]


def _about_conditions(stated: dict[str, Any]) -> dict[str, bool]:
    ready, available = stated.get(conditions.READY, {}), stated.get(conditions.AVAILABLE, {})
    extra = stated.keys() & {conditions.RECONCILING, conditions.STALLED}
    return {
        "Ready and Available are always there": bool(ready and available),
        "Reconciling and Stalled are never both there": len(extra) < 2,
        "Reconciling and Stalled are there only while true": all(
            stated[kind]["status"] == "True" for kind in extra
        ),
        "what is Reconciling or Stalled is not Ready": not extra or ready.get("status") != "True",
        "Ready says the same as Reconciling or Stalled": all(
            (stated[kind]["reason"], stated[kind]["message"]) == (ready.get("reason"), ready.get("message"))
            for kind in extra
        ),
        "what is Ready is Available or stopped": ready.get("status") != "True"
        or available.get("status") == "True"
        or (ready.get("reason"), available.get("reason")) == (conditions.STOPPED, conditions.STOPPED),
        "every reason is documented": all(each["reason"] in _REASONS[kind] for kind, each in stated.items()),
        "every condition has words for people": all(each["message"].strip() for each in stated.values()),
    }


def _about_the_whole(status: dict[str, Any], stated: dict[str, Any]) -> dict[str, bool]:
    is_ready = stated.get(conditions.READY, {}).get("status") == "True"
    is_available = stated.get(conditions.AVAILABLE, {}).get("status") == "True"
    stable, candidate = status.get("stable"), status.get("candidate")
    return {
        "what is Ready has no candidate": not (is_ready and candidate),
        "what is Available has ready pods, and what isn't has none": is_available
        == (status.get("readyReplicas", 0) > 0),
        "no pod is ready that is not there": status.get("readyReplicas", 0) <= status.get("replicas", 0),
        "stable and candidate are different revisions": not (stable and candidate)
        or stable["revision"] != candidate["revision"],
        "a failure has a documented reason and words": all(
            each["failure"]["reason"] in conditions.STALLED_REASONS and each["failure"]["message"]
            for each in (stable, candidate)
            if each and each.get("failure")
        ),
    }
