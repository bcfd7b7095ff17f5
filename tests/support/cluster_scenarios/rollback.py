"""Scenarios of rollouts that go another way: Recreate, deadlines of one's own, and back to what was ready."""

import json
from typing import Any

from modelyard_operator import naming
from modelyard_operator.objects import Kind
from tests.support import cluster_world
from tests.support.cluster_scenarios.registry import scenario
from tests.support.cluster_world import World

SECOND = {"uri": "s3://models/iris/second.joblib"}
BROKEN = {"uri": "s3://models/iris/broken.joblib"}
ROLLBACK = {"onFailure": "Rollback"}
TOLD = json.dumps({"reason": "LoadFailed", "message": "broken.joblib is no pickle.", "stage": "Loading"})


async def served(world: World, **spec: Any) -> str:
    """Have a first revision ready and give its name."""
    await world.create(**spec)
    await world.converge()
    await world.roll_out()
    await world.converge()
    return await world.template_revision()


async def failed(world: World, model: dict[str, str] = BROKEN) -> str:
    """Change the model to one that can't be loaded, let its first pod say so, and give its revision."""
    old = await world.template_revision()
    await world.change(model=model)
    await world.converge()
    broken = await world.template_revision()
    assert broken != old
    replicas = (await world.deployment())["spec"]["replicas"]
    await world.roll_out({old: (replicas, replicas), broken: (0, 1)}, complete=False)
    await world.pod(broken, cluster_world.terminated(naming.SERVE, 70, TOLD))
    return broken


@scenario(
    "Recreate lets go of the rolling update's parameters, and Rolling brings them back; no pod restarts"
)
async def recreate(world: World) -> None:
    first = await served(world, replicas=2)
    await world.change(rollout={"strategy": "Recreate"})
    await world.converge()
    assert (await world.deployment())["spec"]["strategy"] == {"type": "Recreate"}
    await world.roll_out()
    await world.converge()
    before = await world.versions()
    await world.visit()
    assert await world.versions() == before
    await world.change(rollout=None)
    await world.converge()
    assert (await world.deployment())["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    assert await world.template_revision() == first


@scenario("the progress deadline is the author's, and the message names it")
async def deadline(world: World) -> None:
    await world.create(replicas=1, rollout={"progressDeadlineSeconds": 60})
    await world.converge()
    assert (await world.deployment())["spec"]["progressDeadlineSeconds"] == 60
    await world.roll_out({await world.template_revision(): (0, 1)}, complete=False, late=True)
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True ProgressDeadlineExceeded"
    assert "60 s" in await world.message("Stalled")


@scenario(
    "a failed update is rolled back to what was ready, and the status says what failed and how to go on"
)
async def rolled_back(world: World) -> None:
    first = await served(world, replicas=2, rollout=ROLLBACK)
    broken = await failed(world)
    await world.visit()
    assert await world.template_revision() == first
    expected = {"Available": "True PodsReady", "Ready": "False RolledBack", "Stalled": "True RolledBack"}
    assert await world.conditions() == expected
    await world.roll_out()
    await world.remove_pods()
    await world.converge()
    assert await world.conditions() == expected
    message = await world.message("Stalled")
    assert all(words in message for words in (broken, first, "LoadFailed", "is no pickle", "Change the spec"))
    status = await world.status()
    assert (status["stable"]["revision"], status["stable"]["ready"]) == (first, 2)
    assert status["candidate"]["revision"] == broken
    assert status["candidate"]["failure"]["exitCode"] == 70
    assert status["candidate"]["failure"]["pod"].startswith(broken)
    before = await world.versions()
    await world.visit()
    assert await world.versions() == before


@scenario(
    "a change of replicas, as an autoscaler makes it, goes through and does not try the failed revision again"
)
async def scaled_while_rolled_back(world: World) -> None:
    first = await served(world, replicas=2, rollout=ROLLBACK)
    await failed(world)
    await world.converge()
    await world.roll_out()
    await world.remove_pods()
    for replicas in (3, 4):
        await world.change(replicas=replicas)
        await world.visit()
        assert (await world.deployment())["spec"]["replicas"] == replicas
        assert await world.template_revision() == first
    assert (await world.conditions())["Stalled"] == "True RolledBack"
    assert (await world.status())["observedGeneration"] == 4


@scenario("any other change of the spec tries the failed revision again")
async def tried_again(world: World) -> None:
    first = await served(world, replicas=1, rollout=ROLLBACK)
    broken = await failed(world)
    await world.converge()
    await world.roll_out()
    await world.remove_pods()
    await world.converge()
    assert await world.template_revision() == first
    await world.change(service={"port": 8080})
    await world.converge()
    assert await world.template_revision() == broken
    await world.roll_out()
    await world.converge()
    assert (await world.conditions())["Ready"] == "True RolledOut"


@scenario(
    "after a rollback the earlier model restarts nothing, and asking for the failed one again tries it again"
)
async def back_and_forth(world: World) -> None:
    first = await served(world, replicas=1, rollout=ROLLBACK)
    broken = await failed(world)
    await world.converge()
    await world.roll_out()
    await world.remove_pods()
    await world.converge()
    generation = (await world.deployment())["metadata"]["generation"]
    await world.change(model=cluster_world.MODEL)
    await world.converge()
    assert (await world.deployment())["metadata"]["generation"] == generation
    assert (await world.conditions())["Ready"] == "True RolledOut"
    await world.change(model=BROKEN)
    await world.converge()
    assert await world.template_revision() == broken != first


@scenario("nothing is rolled back to a revision that never was ready: the failed one is held")
async def nothing_to_go_back_to(world: World) -> None:
    await world.create(replicas=1, rollout=ROLLBACK)
    await world.converge()
    first = await world.template_revision()
    await world.roll_out({first: (0, 1)}, complete=False)
    await world.pod(first, cluster_world.terminated(naming.SERVE, 70, TOLD))
    await world.converge()
    assert (await world.conditions())["Stalled"] == "True LoadFailed"
    broken = await failed(world, SECOND)
    await world.converge()
    assert await world.template_revision() == broken
    assert (await world.conditions())["Stalled"] == "True LoadFailed"


@scenario("a rollback goes to the last revision that was ready, not to the last that was tried")
async def two_failures(world: World) -> None:
    first = await served(world, replicas=1)
    await world.change(rollout={"onFailure": "Hold"})
    await failed(world, SECOND)
    await world.converge()
    await world.change(rollout=ROLLBACK, model=BROKEN)
    await world.converge()
    third = await world.template_revision()
    await world.roll_out({first: (1, 1), third: (0, 1)}, complete=False)
    await world.pod(third, cluster_world.terminated(naming.SERVE, 70, TOLD))
    await world.converge()
    assert await world.template_revision() == first


@scenario("a failure that may pass is not rolled back before the deadline")
async def patience(world: World) -> None:
    first = await served(world, replicas=1, rollout=ROLLBACK)
    await world.change(model=SECOND)
    await world.converge()
    second = await world.template_revision()
    await world.roll_out({first: (1, 1), second: (0, 1)}, complete=False)
    await world.pod(second, cluster_world.waiting(naming.FETCH, "ImagePullBackOff", "Back-off pulling image"))
    await world.converge()
    assert await world.template_revision() == second
    await world.roll_out({first: (1, 1), second: (0, 1)}, complete=False, late=True)
    await world.converge()
    assert await world.template_revision() == first
    assert (await world.status())["candidate"]["failure"]["reason"] == "ImagePullFailed"


@scenario("a revision that was rolled out and whose pods fail later is not rolled back")
async def later_failure(world: World) -> None:
    await served(world, replicas=1, rollout=ROLLBACK)
    await world.change(model=SECOND)
    await world.converge()
    second = await world.template_revision()
    await world.roll_out()
    await world.converge()
    await world.roll_out({second: (0, 1)})
    await world.pod(second, cluster_world.terminated(naming.SERVE, 70, TOLD))
    await world.converge()
    assert await world.template_revision() == second
    assert (await world.conditions())["Stalled"] == "True LoadFailed"


@scenario("Rollback that is asked for while a failed revision is held goes back to what serves")
async def asked_for_late(world: World) -> None:
    first = await served(world, replicas=1)
    await failed(world)
    await world.converge()
    assert (await world.conditions())["Stalled"] == "True LoadFailed"
    await world.change(rollout=ROLLBACK)
    await world.converge()
    assert await world.template_revision() == first
    await world.change(rollout={"onFailure": "Hold"})
    await world.converge()
    assert await world.template_revision() != first


@scenario("a paused resource is not rolled back before it goes on")
async def paused_failure(world: World) -> None:
    first = await served(world, replicas=1, rollout=ROLLBACK)
    broken = await failed(world)
    await world.change(paused=True)
    await world.visit()
    assert await world.template_revision() == broken
    assert (await world.conditions())["Ready"] == "False Paused"
    await world.change(paused=False)
    await world.converge()
    assert await world.template_revision() == first


@scenario("the history never loses the revision to go back to, however short it is")
async def short_history(world: World) -> None:
    first = await served(world, replicas=1, rollout=ROLLBACK, revisionHistoryLimit=1)
    for number in range(3):
        await world.change(model={"uri": f"s3://models/iris/{number}.joblib"})
        await world.converge()
        await world.roll_out({await world.template_revision(): (0, 1)}, complete=False)
    await world.converge()
    stored = {
        each["metadata"]["name"]
        for each in await world.backend.listed("controllerrevisions", world.namespace)
    }
    assert stored == {first, await world.template_revision()}


@scenario("what is said about an earlier ReplicaSet is no answer about the new one")
async def stale_progress(world: World) -> None:
    first = await served(world, replicas=1, rollout=ROLLBACK)
    await world.change(model=SECOND)
    await world.converge()
    second = await world.template_revision()
    await world.roll_out({first: (1, 1), second: (0, 1)}, said_of=first)
    await world.visit()
    status = await world.status()
    assert (status["stable"]["revision"], status["candidate"]["revision"]) == (first, second)
    await world.roll_out({first: (1, 1), second: (0, 1)}, late=True, said_of=first)
    await world.converge()
    assert await world.template_revision() == second
    assert (await world.conditions())["Reconciling"] == "True RollingOut"
    assert await world.child(Kind.DEPLOYMENT)


@scenario("a rollout that is late although its container runs says that the probe never succeeded")
async def never_ready(world: World) -> None:
    await world.create(replicas=1)
    await world.converge()
    revision = await world.template_revision()
    await world.roll_out({revision: (0, 1)}, complete=False)
    started = {
        "name": naming.SERVE,
        "ready": False,
        "started": False,
        "restartCount": 0,
        "image": "",
        "imageID": "",
    }
    running = {**started, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    await world.pod(revision, {"phase": "Running", "containerStatuses": [running]})
    await world.visit()
    assert (await world.conditions())["Reconciling"] == "True RollingOut"
    assert "is loading the model" in await world.message("Reconciling")
    await world.roll_out({revision: (0, 1)}, complete=False, late=True)
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True ProbeFailed"
    assert "GET /readyz" in await world.message("Stalled")
    assert "progressDeadlineSeconds" in await world.message("Stalled")
