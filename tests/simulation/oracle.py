"""What must hold, whatever happens: asked after every write of the operator, and once everything has come to rest.

The rules are written down here anew, from design.md and not from the operator's code, so that a mistake there is not
repeated here. `world` calls `Oracle.writes` around each write, and `at_rest` at the end.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard_operator import naming, objects, plan
from modelyard_operator.objects import Kind, Manifest
from tests.simulation import api, controllers, fetching

FOREIGN = "else.example.com/"
_RECENT = 2  # generations before the newest of which a visit that is under way, or a late view, may speak


class Violation(AssertionError):  # noqa: N818 - named for what it means
    """An invariant does not hold."""


def check(holds: object, rule: str) -> None:
    """Insist on a rule.

    Raises:
        Violation: when it doesn't hold.
    """
    if not holds:
        raise Violation(rule)


class Deed(msgspec.Struct, frozen=True):
    """One write that the operator has made.

    Attributes:
        write: what it meant to do.
        before: the object before, None when there was none.
        after: the object after, None when there is none any more.
        since: the moment at which the visit began.
    """

    write: plan.Action | Manifest
    before: Manifest | None
    after: Manifest | None
    since: Mapping[str, int]


class Oracle:
    """Remembers what users asked for and what was true, and judges writes by it."""

    def __init__(self, cluster: api.FastCluster) -> None:
        self._api = cluster
        self._specs: dict[str, list[dict[str, Any]]] = {}  # UID -> the spec of each generation
        self.intents: dict[
            str, dict[str, Any]
        ] = {}  # revision -> what it asks for, also when its record is gone
        self.lost: set[str] = set()  # revisions whose record somebody has deleted
        self._was_ready: set[tuple[str, int]] = (
            set()
        )  # (UID, generation) that were really ready at some moment

    def notice(self) -> None:
        """Take note of what is true now; called after every change that may matter."""
        body = self._api.find(naming.PLURAL, "iris")
        if body is None:
            return
        uid, generation = body["metadata"]["uid"], body["metadata"]["generation"]
        specs = self._specs.setdefault(uid, [])
        if len(specs) < generation:
            specs.append(body["spec"])
            # A late view may say of a generation what was true of one that asked the same: of one just before it, or of
            # an older one while the pods are still those.
            first = 1 if self._runs(body["spec"]) else max(1, generation - _RECENT)
            same = {
                (uid, each)
                for each in range(first, generation)
                if _asked(specs[each - 1]) == _asked(specs[-1])
            }
            if same & self._was_ready:
                self._was_ready.add((uid, generation))
        # Also the generations before: a visit that began with one of them may still be under way.
        for earlier in range(max(1, generation - _RECENT), generation + 1):
            spec = self._specs[uid][earlier - 1]
            if (uid, earlier) not in self._was_ready and self._is_ready({**body, "spec": spec}):
                self._was_ready.add((uid, earlier))

    def mark(self) -> dict[str, int]:
        """Give the present as a moment that a visit can be judged by."""
        return {uid: len(specs) for uid, specs in self._specs.items()}

    def judge(self, deed: Deed) -> None:
        """Judge one write by the object before and after it.

        Raises:
            Violation: naming the rule.
        """
        if isinstance(deed.write, plan.Delete):
            self._judge_delete(deed.write, deed.before, deed.after)
        elif isinstance(deed.write, plan.StopPod):
            self._judge_stop(deed.write, deed.before, deed.after)
        elif isinstance(deed.write, plan.Apply):
            self._judge_apply(deed)
        elif deed.after is not None:
            self._judge_status(deed.after)

    def _judge_delete(self, write: plan.Delete, before: Manifest | None, after: Manifest | None) -> None:
        check(write.uid, f"a delete names the UID it means: {write}")
        if before is not None and after is None:
            check(self._is_ours(before), f"only what is ours is deleted: {objects.describe(before)}")

    def _judge_stop(self, write: plan.StopPod, before: Manifest | None, after: Manifest | None) -> None:
        check(write.uid, f"a pod is stopped by the UID that is meant: {write}")
        if before is None or after is not None:
            return
        locked, told = fetching.lock(self._api, before), fetching.told(before)
        check(locked is not None, f"no pod is stopped before its successor knows what it may serve: {write}")
        check(told not in (None, locked), f"no pod is stopped that has fetched what it is locked to: {write}")

    def _judge_apply(self, deed: Deed) -> None:
        before, after = deed.before, deed.after
        if before is None or after is None or before is after:
            return
        check(self._is_ours(before), f"only what is ours is written to: {objects.describe(before)}")
        kept = {
            key for key in (before["metadata"].get("annotations") or {}) if key.startswith(FOREIGN)
        } <= set(after["metadata"].get("annotations") or {})
        check(kept, f"what others wrote on {objects.describe(before)} is kept")
        if before["kind"] == Kind.CONTROLLER_REVISION.kind:
            check(before["data"] == after["data"], "a revision never changes")
            was, now = locked_to(before), locked_to(after)
            check(was in (None, now), "what a revision is locked to never changes")
        if before["kind"] == Kind.DEPLOYMENT.kind:
            self._judge_replicas(before, after, deed.since)
            self._judge_template(before, after)

    def _judge_replicas(self, before: Manifest, after: Manifest, since: Mapping[str, int]) -> None:
        was, now = before["spec"]["replicas"], after["spec"]["replicas"]
        if was == now:
            return
        body = self._api.find(naming.PLURAL, "iris")
        owner = objects.controller_of(after) or (
            body["metadata"] if body else {}
        )  # an orphan about to be adopted
        uid = str(owner.get("uid"))
        # What was asked for when the visit began, or since then.
        recent = self._specs.get(uid, [])[max(0, since.get(uid, 0) - 1) :]
        # An autoscaler's numbers are left alone; a stopped model is started for it.
        allowed = {least(spec) for spec in recent if number(spec) is not None or was == 0}
        check(
            now in allowed, f"spec.replicas goes from {was} to {now}; only {sorted(allowed)} were asked for"
        )

    def _judge_template(self, before: Manifest, after: Manifest) -> None:
        was, now = (each["spec"]["template"] for each in (before, after))
        revision = now["metadata"]["labels"][naming.LABEL_REVISION]
        if was is now or was["metadata"].get("labels", {}).get(naming.LABEL_REVISION) != revision:
            return
        same = was["spec"]["containers"][0]["image"] == now["spec"]["containers"][0]["image"]
        # With its record gone, a revision is read back from a Deployment that is ours and that nobody has meddled with.
        is_spoilt = objects.controller_of(before) is None or _owners_of_pods(before) != {naming.MANAGER}
        check(
            same or (revision in self.lost and is_spoilt),
            "pods of a revision are not restarted by another configuration",
        )

    def _judge_status(self, body: Manifest) -> None:
        uid, status = body["metadata"]["uid"], body["status"]
        observed = status["observedGeneration"]
        check(observed <= len(self._specs.get(uid, ())), "observedGeneration is not ahead of the spec")
        stated = {each["type"]: each for each in status["conditions"]}
        if stated["Ready"]["status"] == "True":
            is_true = (uid, observed) in self._was_ready
            check(is_true, f"Ready=True only when generation {observed} has been rolled out and ready")
        for name in ("Reconciling", "Stalled"):
            check(name not in stated or stated[name]["status"] == "True", f"{name} is there only while True")
        both = "Reconciling" in stated and "Stalled" in stated
        check(not both, "Reconciling and Stalled exclude each other")

    def _is_ready(self, body: Manifest) -> bool:
        """Say whether the whole spec is rolled out and ready, by looking at the pods' own ReplicaSets."""
        deployment = self._api.find("deployments", body["metadata"]["name"])
        if deployment is None or not self._is_ours(deployment):
            return False
        status = deployment.get("status") or {}
        if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
            return False
        if not self._runs(body["spec"]):
            return False
        if _is_said_to_be_complete(deployment, least(body["spec"])):
            return True  # whoever deletes a ReplicaSet is noticed by the Deployment's controller first
        wanted = _revision(deployment)
        every = controllers.owned(self._api, "replicasets", deployment["metadata"]["uid"])
        ready = sum(
            (each.get("status") or {}).get("readyReplicas", 0)
            for each in every
            if each["metadata"]["labels"].get(naming.LABEL_REVISION) == wanted
        )
        others = sum(
            (each.get("status") or {}).get("replicas", 0)
            for each in every
            if each["metadata"]["labels"].get(naming.LABEL_REVISION) != wanted
        )
        return bool(ready >= least(body["spec"]) and not others)

    def _runs(self, spec: dict[str, Any]) -> bool:
        """Say whether the Deployment's pods are meant to be what a spec asks for."""
        deployment = self._api.find("deployments", "iris")
        wanted = _revision(deployment) if deployment else ""
        return wanted in self.intents and asks_for(spec, self.intents[wanted])

    def _is_ours(self, manifest: Manifest) -> bool:
        controller = objects.controller_of(manifest)
        if controller is not None and controller["kind"] == Kind.CONTROLLER_REVISION.kind:
            return bool(manifest["metadata"]["name"] == f"{controller['name']}-lock")
        if controller is None:  # an orphan of ours may be adopted
            managers = {entry["manager"] for entry in manifest["metadata"]["managedFields"]}
            labels = manifest["metadata"].get("labels") or {}
            return naming.MANAGER in managers and labels.get(naming.LABEL_MANAGED_BY) == naming.APP
        return controller["kind"] == naming.KIND and controller["uid"] in self._specs


def locked_to(stored: Manifest) -> str | None:
    """Give the digest that a revision's record is marked with; None when there is none."""
    mark = (stored["metadata"].get("annotations") or {}).get("modelyard.dev/lock")
    return str(json.loads(mark)["digest"]) if mark else None


def _revision(deployment: Manifest) -> str:
    return str(deployment["spec"]["template"]["metadata"]["labels"].get(naming.LABEL_REVISION, ""))


def _is_said_to_be_complete(deployment: Manifest, replicas: int) -> bool:
    status = deployment.get("status") or {}
    updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    return bool(updated == status.get("replicas", 0) == ready >= replicas)


def _owners_of_pods(deployment: Manifest) -> set[str]:
    """Give who owns anything of what a Deployment's pods run."""
    return {
        entry["manager"]
        for entry in deployment["metadata"]["managedFields"]
        if "f:spec" in entry["fieldsV1"].get("f:spec", {}).get("f:template", {})
    }


def number(spec: dict[str, Any]) -> int | None:
    """Give the number of pods that a spec names, None when an autoscaler chooses it or it names none that can be."""
    replicas = 1 if spec.get("replicas") is None else spec["replicas"]
    return None if spec.get("autoscaling") or not isinstance(replicas, int) else replicas


def least(spec: dict[str, Any]) -> int:
    """Give the number of ready pods that fulfils a spec."""
    chosen = number(spec)
    return int((spec.get("autoscaling") or {}).get("minReplicas", 1)) if chosen is None else chosen


def _asked(spec: dict[str, Any]) -> tuple[Any, ...]:
    """Give what a spec says about what has to be ready, as far as stories change it."""
    level = (spec.get("runtime") or {}).get("logLevel", "info")
    return spec["model"]["uri"], level, least(spec), number(spec)


def asks_for(spec: dict[str, Any], intent: dict[str, Any]) -> bool:
    """Say whether a revision's intent is the one of a spec, as far as stories change it."""
    level = (spec.get("runtime") or {}).get("logLevel", "info")
    same_level = level == intent.get("runtime", {}).get("logLevel", "info")
    return bool(same_level and intent["model"]["uri"] == spec["model"]["uri"])
