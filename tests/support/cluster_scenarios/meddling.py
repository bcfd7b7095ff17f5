"""Scenarios of people who take away what the operator finds and remembers its children by: labels, records, owners."""

from modelyard_operator import naming
from modelyard_operator.objects import Kind
from tests.support import cluster_world
from tests.support.cluster_scenarios.registry import scenario
from tests.support.cluster_scenarios.rollback import served
from tests.support.cluster_world import World

_UNLABELLED = {"metadata": {"labels": {naming.LABEL_MANAGED_BY: "me"}}}


async def delete_records(world: World) -> None:
    """Delete every ControllerRevision."""
    for each in await world.backend.listed(Kind.CONTROLLER_REVISION.plural, world.namespace):
        await world.backend.remove(Kind.CONTROLLER_REVISION.plural, world.namespace, each["metadata"]["name"])


@scenario("a child that has lost our label and is no longer wanted goes all the same")
async def unlabelled_leftovers(world: World) -> None:
    await served(world, autoscaling={"minReplicas": 2, "maxReplicas": 4})
    for kind in (Kind.AUTOSCALER, Kind.DISRUPTION_BUDGET):
        await world.edit(kind, _UNLABELLED)
    await world.change(autoscaling=None, replicas=1)
    await world.converge()
    assert await world.child(Kind.AUTOSCALER) is None
    assert await world.child(Kind.DISRUPTION_BUDGET) is None


@scenario(
    "an operator that never saw the label of what is no longer wanted finds it with the next look for it"
)
async def unlabelled_before_the_start(world: World) -> None:
    await served(world, autoscaling={"minReplicas": 2, "maxReplicas": 4})
    await world.edit(Kind.AUTOSCALER, _UNLABELLED)
    await world.change(autoscaling=None, replicas=1)
    world.with_settings(world.settings)
    world.reconciler.doubt((world.namespace, "iris"))
    await world.converge()
    assert await world.child(Kind.AUTOSCALER) is None


@scenario("a Deployment that has lost our label serves, and the status says so, also while the spec is wrong")
async def unlabelled_and_stalled(world: World) -> None:
    await served(world, replicas=1)
    await world.change(runtime={"class": "gpu"})
    await world.visit()
    await world.edit(Kind.DEPLOYMENT, _UNLABELLED)
    world.with_settings(world.settings)
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True RuntimeClassUnknown"
    assert (await world.conditions())["Available"] == "True PodsReady"
    await world.change(runtime=None)
    await world.converge()
    labels = (await world.deployment())["metadata"]["labels"]
    assert labels[naming.LABEL_MANAGED_BY] == naming.APP


@scenario(
    "Recreate takes the rolling update's parameters away from whoever else has set them; no pod restarts"
)
async def strategy_of_others(world: World) -> None:
    first = await served(world, replicas=2)
    for number in (1, 0):  # the second is what we would set ourselves, and has two owners
        await world.edit(
            Kind.DEPLOYMENT,
            {"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": number, "maxSurge": 2}}}},
        )
        await world.change(rollout={"strategy": "Recreate"})
        await world.converge()
        assert (await world.deployment())["spec"]["strategy"] == {"type": "Recreate"}
        assert await world.template_revision() == first
        assert (await world.deployment())["spec"]["replicas"] == 2
        await world.change(rollout=None)
        await world.converge()


@scenario(
    "a revision whose record somebody deletes is recorded as it runs, also after another image is offered"
)
async def deleted_record(world: World) -> None:
    await served(world, replicas=2, pod={"annotations": {"team.example.com/a": "x"}, "drainSeconds": 7})
    before = await world.deployment()
    (record,) = await world.backend.listed(Kind.CONTROLLER_REVISION.plural, world.namespace)
    await world.edit(
        Kind.DEPLOYMENT, {"spec": {"template": {"metadata": {"annotations": {"else": "where"}}}}}
    )
    world.with_settings(cluster_world.another_image("modelyard/runtime:newer"))
    await delete_records(world)
    await world.converge()
    after = await world.deployment()
    assert after["spec"]["template"]["spec"] == before["spec"]["template"]["spec"]
    (again,) = await world.backend.listed(Kind.CONTROLLER_REVISION.plural, world.namespace)
    assert again["data"] == record["data"]
    assert (await world.status())["runtime"]["image"] == "modelyard/runtime:test"


@scenario("an updated revision whose record somebody deletes stays, and no earlier one comes back")
async def deleted_update(world: World) -> None:
    first = await served(world, replicas=1, runtime={"updatePolicy": "Auto"})
    world.with_settings(cluster_world.another_image("modelyard/runtime:newer"))
    await world.converge()
    await world.roll_out()
    await world.converge()
    second = await world.template_revision()
    assert second != first
    await world.backend.remove(Kind.CONTROLLER_REVISION.plural, world.namespace, second)
    await world.converge()
    assert await world.template_revision() == second
    assert (await world.status())["runtime"]["image"] == "modelyard/runtime:newer"


@scenario(
    "what somebody has changed in the template does not become the record when he deletes the record too"
)
async def deleted_record_and_drift(world: World) -> None:
    await served(world, replicas=1)
    (record,) = await world.backend.listed(Kind.CONTROLLER_REVISION.plural, world.namespace)
    await world.edit(
        Kind.DEPLOYMENT, {"spec": {"template": {"spec": {"automountServiceAccountToken": True}}}}
    )
    await delete_records(world)
    await world.converge()
    assert (await world.deployment())["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    (again,) = await world.backend.listed(Kind.CONTROLLER_REVISION.plural, world.namespace)
    assert again["data"] == record["data"]
