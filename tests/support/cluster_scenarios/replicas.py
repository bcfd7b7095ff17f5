"""Scenarios of the number of pods and who decides it."""

from modelyard_operator.objects import Kind
from tests.support.cluster_scenarios.registry import scenario
from tests.support.cluster_world import World


@scenario("switching to an autoscaler keeps the number of pods, and the autoscaler's number is left alone")
async def to_autoscaler(world: World) -> None:
    await world.create(replicas=4)
    await world.converge()
    await world.roll_out()
    await world.change(replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 9})
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 4
    assert await world.child(Kind.AUTOSCALER)
    await world.scale_as_autoscaler(7)
    await world.change(model={"uri": "s3://models/iris/second.joblib"})
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 7


@scenario("switching from an autoscaler to a number takes that number and removes the autoscaler")
async def from_autoscaler(world: World) -> None:
    await world.create(autoscaling={"minReplicas": 3, "maxReplicas": 9})
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 3
    await world.scale_as_autoscaler(7)
    await world.change(autoscaling=None, replicas=5)
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 5
    assert await world.child(Kind.AUTOSCALER) is None


@scenario("an autoscaler that has taken the number over at once needs no second owner")
async def autoscaler_was_faster(world: World) -> None:
    await world.create(autoscaling={"minReplicas": 2, "maxReplicas": 9})
    await world.visit()
    await world.scale_as_autoscaler(6)
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 6


@scenario("a stopped model that gets an autoscaler starts with its minimum")
async def stopped_to_autoscaler(world: World) -> None:
    await world.create(replicas=0)
    await world.converge()
    await world.change(replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 3})
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 2


@scenario("a second replica brings a disruption budget, going back to one removes it")
async def disruption_budget(world: World) -> None:
    await world.create(replicas=1)
    await world.converge()
    assert await world.child(Kind.DISRUPTION_BUDGET) is None
    await world.change(replicas=2)
    await world.converge()
    assert await world.child(Kind.DISRUPTION_BUDGET)
    await world.change(replicas=1)
    await world.converge()
    assert await world.child(Kind.DISRUPTION_BUDGET) is None


@scenario("replicas 0 is stopped: ready, not available, and it says so")
async def stopped(world: World) -> None:
    await world.create(replicas=1)
    await world.converge()
    await world.roll_out()
    await world.change(replicas=0)
    await world.visit()
    await world.roll_out({await world.template_revision(): (0, 1)})
    await world.visit()
    assert (await world.conditions())["Reconciling"] == "True Stopping"
    await world.roll_out()
    await world.visit()
    assert await world.conditions() == {"Available": "False Stopped", "Ready": "True Stopped"}
    assert (await world.status())["available"] == "0/0"


@scenario(
    "an autoscaler of the author's own changes the number through the scale subresource, straight through"
)
async def own_autoscaler(world: World) -> None:
    await world.create(replicas=2)
    await world.converge()
    await world.roll_out()
    for replicas in (5, 3):
        await world.scale(replicas)
        await world.visit()
        assert (await world.deployment())["spec"]["replicas"] == replicas
    await world.change(model={"uri": "s3://models/iris/second.joblib"})
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 3
    assert (await world.status())["selector"]


@scenario("an autoscaler that somebody made for our Deployment does not get the number that the spec names")
async def foreign_autoscaler(world: World) -> None:
    await world.create(replicas=2)
    await world.converge()
    await world.scale_as_autoscaler(7)
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 2


@scenario("with Recreate, too, the number changes hands without passing through one, in both directions")
async def recreate_and_autoscaler(world: World) -> None:
    await world.create(replicas=4, rollout={"strategy": "Recreate"})
    await world.converge()
    await world.roll_out()
    await world.change(replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 9})
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 4
    await world.scale_as_autoscaler(7)
    await world.change(rollout=None, model={"uri": "s3://models/iris/second.joblib"})
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 7
    await world.change(autoscaling=None, replicas=3, rollout={"strategy": "Recreate"})
    await world.converge()
    deployment = await world.deployment()
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert await world.child(Kind.AUTOSCALER) is None


@scenario("a rollback keeps the number that the autoscaler has chosen")
async def rollback_and_autoscaler(world: World) -> None:
    await world.create(autoscaling={"minReplicas": 2, "maxReplicas": 9}, rollout={"onFailure": "Rollback"})
    await world.converge()
    await world.roll_out()
    await world.converge()
    first = await world.template_revision()
    await world.scale_as_autoscaler(6)
    await world.change(model={"uri": "s3://models/iris/second.joblib"})
    await world.converge()
    await world.roll_out({first: (6, 6), await world.template_revision(): (0, 1)}, late=True)
    await world.converge()
    assert await world.template_revision() == first
    assert (await world.deployment())["spec"]["replicas"] == 6
