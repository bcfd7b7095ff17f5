"""Says why the scheduler finds no node for a pod: what is short, what doesn't fit, and what would help.

Also tells when the old pods themselves are in the way: a rolling update starts a new pod before it stops an old one,
and waits for ever when the old one holds what the new one needs. Called by `failures`. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard_operator import naming, quantities
from modelyard_operator.objects import Manifest

_INSUFFICIENT = re.compile(r"Insufficient ([a-zA-Z0-9./_-]*[a-zA-Z0-9])")
_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
# What the scheduler says, and what the author can do about it.
_MISFITS: Mapping[str, str] = {
    "node affinity/selector": "no node has the labels of spec.pod.nodeSelector",
    "untolerated taint": "nodes have taints that spec.pod.tolerations does not name",
    "topology spread constraints": "spec.pod.topologySpread can't be kept",
    "were unschedulable": "nodes are cordoned",
    "Too many pods": "nodes have as many pods as they may",
    "unbound immediate PersistentVolumeClaims": "a volume claim has no volume yet",
    "volume node affinity conflict": "the volume is in another zone than the nodes with room",
    "no nodes available": "there is no node",
}


def message_of(pod: Manifest) -> str | None:
    """Give the scheduler's words about a pod that it can't place, None when it has placed it or not looked yet."""
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            text: str = condition.get("message", "")
            return text.partition(" preemption:")[0].removesuffix(" not found")
    return None


def missing_claim(message: str) -> str:
    """Give the volume claim that does not exist, empty when that isn't the cause."""
    found = _CLAIM.search(message)
    return found[1] if found else ""


def shortages(message: str) -> tuple[str, ...]:
    """Give the resources that are short, each once, in the scheduler's order."""
    return tuple(dict.fromkeys(_INSUFFICIENT.findall(message)))


def explain(pod: Manifest, message: str) -> str:
    """Say why no node can take the pod, and what to do."""
    requests = _requests(pod)
    short = [
        f"not enough {name}" + (f" (each pod asks for {requests[name]})" if name in requests else "")
        for name in shortages(message)
    ]
    misfits = [words for sign, words in _MISFITS.items() if sign in message]
    causes = [*short, *misfits]
    if not causes:
        return f"No node can take the pod: {message}"
    remedies = ["ask for less in spec.resources"] * bool(short) + ["correct spec.pod"] * any(
        "spec.pod" in words for words in misfits
    )
    remedy = " or ".join([*remedies, "add a node that fits"])
    told = f"{'; '.join(causes)}. {remedy[0].upper()}{remedy[1:]}."
    return f"No node can take the pod: {told} In the scheduler's words: {message}"


def are_in_the_way(pod: Manifest, message: str, old: Sequence[Manifest]) -> bool:
    """Says whether each of the old pods holds, of all that is short, as much as the new pod needs."""
    short = shortages(message)
    needed = _requests(pod)
    return bool(short and old) and all(
        _covers(_requests(each).get(name, 0), needed.get(name, 0)) for each in old for name in short
    )


def _covers(held: int | str, needed: int | str) -> bool:
    return 0 < (quantities.parse(needed) or 0) <= (quantities.parse(held) or 0)


def _requests(pod: Manifest) -> Mapping[str, Any]:
    """Give what the serving container reserves; the one that fetches reserves the same, and earlier."""
    containers = pod.get("spec", {}).get("containers") or ()
    resources: Mapping[str, Any] = next(
        (each.get("resources", {}) for each in containers if each["name"] == naming.SERVE), {}
    )
    # What is limited but not requested is requested by default.
    return {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
