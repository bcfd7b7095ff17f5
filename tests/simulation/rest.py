"""What must be when the adversary has stopped and everything has come to rest: the verdict at the end of a story.

Called by `run`. Says independently of the operator what a spec leads to.
"""

from typing import Any

from modelyard_operator import naming, objects
from modelyard_operator.objects import Kind, Manifest
from tests.simulation import controllers, fetching, oracle, people
from tests.simulation.oracle import check
from tests.simulation.world import World

_SINGLE = (Kind.SERVICE, Kind.DEPLOYMENT, Kind.AUTOSCALER, Kind.DISRUPTION_BUDGET)


def judge(world: World) -> None:
    """Judge the end of a story.

    Raises:
        Violation: naming what isn't as it should be.
    """
    body = world.resource()
    if body is None or "deletionTimestamp" in body["metadata"]:
        left = [name for name, stored in world.api.objects.items() if _is_child(stored.manifest)]
        records = {name[2] for name in world.api.objects if name[0] == Kind.CONTROLLER_REVISION.plural}
        locks = (name for name in world.api.objects if name[0] == Kind.CONFIG_MAP.plural)
        left += [name for name in locks if name[2].removesuffix("-lock") not in records]  # they go with those
        check(not left, f"nothing is left of what was deleted: {left}")
        return
    status, spec = body["status"], body["spec"]
    check(
        status.get("observedGeneration") == body["metadata"]["generation"],
        "the status speaks of the newest generation",
    )
    stated = {each["type"]: each for each in status["conditions"]}
    for each in stated.values():
        same = each["observedGeneration"] == body["metadata"]["generation"]
        check(same, f"{each['type']} speaks of the newest generation")
    _judge_available(world, stated)
    if stated.get("Stalled", {}).get("reason") == "NameTaken" and _has_orphaned_record(world):
        return
    reasons = _reasons_to_stall(world, spec)
    if reasons:
        said = stated.get("Stalled", {}).get("reason")
        is_held = bool(spec.get("paused")) and said is None
        check(said in reasons or is_held, f"Stalled is one of {sorted(reasons)}, not {said}")
        return
    if not spec.get("paused"):
        _judge_children(world, body)
        _judge_bytes(world)
        _judge_ready(world, body, stated)


def _judge_available(world: World, stated: dict[str, Any]) -> None:
    deployment = world.api.find("deployments", "iris")
    ready = 0
    if (
        deployment is not None
        and not people.is_foreign(deployment)
        and not people.is_unmarked_orphan(deployment)
    ):
        uids = {
            stored.manifest["metadata"]["uid"]
            for name, stored in world.api.objects.items()
            if name[0] == "replicasets"
            and objects.is_owned_by(stored.manifest, deployment["metadata"]["uid"])
        }
        ready = sum(
            (stored.manifest.get("status") or {}).get("containerStatuses", [{}])[0].get("ready", False)
            for name, stored in world.api.objects.items()
            if name[0] == "pods" and (objects.controller_of(stored.manifest) or {}).get("uid") in uids
        )
    check(
        (stated["Available"]["status"] == "True") == bool(ready),
        f"Available says that {ready} pods are ready",
    )


def _judge_children(world: World, body: Manifest) -> None:
    spec, uid = body["spec"], body["metadata"]["uid"]
    wanted = _wanted(spec)
    for kind in _SINGLE:
        live = world.api.find(kind.plural, "iris")
        if kind in wanted:
            check(live is not None and objects.is_owned_by(live, uid), f"there is a {kind.kind} of ours")
        elif live is not None:
            check(not objects.is_owned_by(live, uid), f"there is no {kind.kind} of ours any more")
    service = world.api.find("services", "iris") or {}
    port = (spec.get("service") or {}).get("port", 80)
    check(service["spec"]["ports"][0]["port"] == port, "the Service has the port that was asked for")
    check(service["spec"]["selector"] == naming.selector_labels("iris"), "the Service selects our pods")
    _judge_deployment(world, spec)


def _judge_deployment(world: World, spec: dict[str, Any]) -> None:
    deployment = world.api.find("deployments", "iris") or {}
    chosen = oracle.number(spec)
    replicas = deployment["spec"]["replicas"]
    if chosen is not None:
        check(replicas == chosen, f"the Deployment has {chosen} replicas, not {replicas}")
    else:
        bounds = spec["autoscaling"]
        within = bounds.get("minReplicas", 1) <= replicas <= bounds["maxReplicas"]
        check(within, f"the autoscaler's {replicas} replicas are within its bounds")
    rollout = spec.get("rollout") or {}
    strategy = deployment["spec"]["strategy"]
    if rollout.get("strategy", "Rolling") == "Rolling":
        check(strategy["rollingUpdate"]["maxUnavailable"] == 0, "no pod goes before another is ready")
    else:
        check(strategy == {"type": "Recreate"}, "the strategy is the one that was asked for")
    check(
        deployment["spec"]["template"]["spec"]["enableServiceLinks"] is False,
        "the template is the recorded one",
    )


def _judge_bytes(world: World) -> None:
    """Insist that all pods of a revision serve the same, and what its record and its lock say."""
    deployment = world.api.find("deployments", "iris") or {}
    for replica_set in controllers.owned(world.api, "replicasets", deployment["metadata"]["uid"]):
        pods = controllers.owned(world.api, "pods", replica_set["metadata"]["uid"])
        serving = {fetching.told(pod): pod for pod in pods if controllers.is_ready(pod)}
        if not serving:
            continue
        revision = replica_set["metadata"]["labels"][naming.LABEL_REVISION]
        stored = world.api.find(Kind.CONTROLLER_REVISION.plural, revision)
        if stored is None or objects.controller_of(stored) is None:
            # A record that somebody has deleted or orphaned is taken back only where it is the one that is asked for.
            is_known = stored is not None or revision in world.oracle.lost
            check(is_known, f"what serves is recorded: {revision}")
            continue
        check(len(serving) == 1, f"all pods of {revision} serve the same bytes")
        ((told, pod),) = serving.items()
        check(fetching.lock(world.api, pod) == told, f"the pods of {revision} read what they serve")
        check(oracle.locked_to(stored) == told, f"{revision} is marked with its lock")


def _judge_ready(world: World, body: Manifest, stated: dict[str, Any]) -> None:
    spec = body["spec"]
    deployment = world.api.find("deployments", "iris") or {}
    running = deployment["spec"]["template"]["metadata"]["labels"][naming.LABEL_REVISION]
    stored = world.api.find(Kind.CONTROLLER_REVISION.plural, running) or {}
    intent = stored["data"]["intent"]
    stalled = stated.get("Stalled", {}).get("reason")
    if not oracle.asks_for(spec, intent):
        is_rolled_back = (
            stalled == "RolledBack" and (spec.get("rollout") or {}).get("onFailure") == "Rollback"
        )
        check(
            is_rolled_back,
            "the Deployment runs the revision that was asked for, or says that it was rolled back",
        )
        check(_is_good(intent["model"]["uri"]), "what was rolled back to works")
        check(stated["Ready"]["status"] == "False", "what was rolled back is not Ready")
        return
    uri = spec["model"]["uri"]
    is_stopped = oracle.least(spec) == 0
    locked = oracle.locked_to(stored)
    if stalled == "DigestChanged":
        check(_is_good(uri), "only a model that could be loaded is locked")
        check(locked not in (None, fetching.digest(world.api, uri)), "the artifact is another one by now")
    elif _is_good(uri) or is_stopped:
        verdict = stated["Ready"]
        check(verdict["status"] == "True", f"it is Ready, not {verdict['reason']}: {verdict['message']}")
        check(not set(stated) & {"Reconciling", "Stalled"}, "Reconciling and Stalled are gone")
    else:
        expected = {"LoadFailed"} if "bad" in uri else {"ProgressDeadlineExceeded", "ProbeFailed"}
        check(stated["Ready"]["status"] == "False", "a broken model is not Ready")
        if "bad" not in uri and _has_no_deadline(deployment):
            check("Reconciling" in stated or stalled in expected, "what never answers is waited for")
            return
        check(stalled in expected, f"Stalled is one of {expected}, not {stalled}")


def _has_no_deadline(deployment: Manifest) -> bool:
    """Say whether pods came after a rollout was complete, as that of a stopped model is at once: none is late."""
    stated = deployment["status"].get("conditions", ())
    return any(each.get("reason") == "NewReplicaSetAvailable" for each in stated)


def _reasons_to_stall(world: World, spec: dict[str, Any]) -> set[str]:
    """Give the reasons of Stalled that would be true, any of which may be said."""
    reasons = set()
    if not spec["model"]["uri"].startswith("s3://") or isinstance(spec.get("replicas"), str):
        reasons.add("SpecInvalid")
    if (spec.get("runtime") or {}).get("class", "default") != "default":
        reasons.add("RuntimeClassUnknown")
    if (spec.get("pod") or {}).get("labels") or (spec.get("service") or {}).get("annotations"):
        reasons.add("MetadataNotAllowed")
    if (spec.get("autoscaling") or {}).get("metrics"):
        reasons.add("ChildRejected")
    wanted = _wanted(spec)
    for kind in _SINGLE:
        live = world.api.find(kind.plural, "iris")
        if (
            kind in wanted
            and live is not None
            and (people.is_foreign(live) or people.is_unmarked_orphan(live))
        ):
            reasons.add("NameTaken")
    return reasons


def _has_orphaned_record(world: World) -> bool:
    """Say whether a revision's record has no owner: its template is trusted under conditions only."""
    return any(
        name[0] == Kind.CONTROLLER_REVISION.plural and objects.controller_of(stored.manifest) is None
        for name, stored in world.api.objects.items()
    )


def _wanted(spec: dict[str, Any]) -> set[Kind]:
    autoscaling = spec.get("autoscaling")
    most = autoscaling["maxReplicas"] if autoscaling else oracle.least(spec)
    wanted = {Kind.SERVICE, Kind.DEPLOYMENT}
    wanted |= {Kind.AUTOSCALER} if autoscaling else set()
    return wanted | ({Kind.DISRUPTION_BUDGET} if most > 1 else set())


def _is_good(uri: str) -> bool:
    return "bad" not in uri and "stuck" not in uri


def _is_child(manifest: Manifest) -> bool:
    return (objects.controller_of(manifest) or {}).get("kind") == naming.KIND
