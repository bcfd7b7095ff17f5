"""The steps of a story: what users, other people's tools, Kubernetes and bad luck do to the operator.

`STEPS` lists them with how often they come up. Each takes the world and a source of chance of its own, so that a story
stays the same when other steps are left out of it.
"""

import random
from collections.abc import Callable

import msgspec

from modelyard_operator import naming
from tests.simulation import controllers, people, watching
from tests.simulation.process import Fault
from tests.simulation.world import SETTINGS, World
from tests.support import cluster_world

Step = Callable[[World, random.Random], None]
_LATER = msgspec.structs.replace(SETTINGS, artifact_size_limit="20Gi")
_CONFIGURATIONS = (SETTINGS, cluster_world.another_image("modelyard/runtime:next"), _LATER)


def visit(world: World, draw: random.Random) -> None:
    """Everything goes well."""
    world.say(f"{world.leader.name} visits")
    if draw.random() < 0.6:
        world.leader.watches.catch_up()
    world.visit(world.leader)


def faulty_visit(world: World, draw: random.Random) -> None:
    """One call of a visit goes wrong."""
    at, fault = draw.randint(0, 9), draw.choice(list(Fault))
    world.say(f"{world.leader.name} visits, and of its call {at}: {fault.value}")
    world.visit(world.leader, {at: fault})


def hard_visit(world: World, draw: random.Random) -> None:
    """Several calls of a visit go wrong."""
    faults = {draw.randint(0, 9): draw.choice(list(Fault)) for _ in range(3)}
    world.say(f"{world.leader.name} visits, and its calls {sorted(faults)} go wrong")
    world.visit(world.leader, faults)


def meddled_visit(world: World, draw: random.Random) -> None:
    """Somebody acts between two calls of a visit."""
    at, meddle = draw.randint(0, 9), draw.choice(_MEDDLERS)
    world.say(f"{world.leader.name} visits; before its call {at}:")
    world.visit(world.leader, meddling={at: lambda: meddle(world, draw)})


def watches_catch_up(world: World, draw: random.Random) -> None:
    """The leader's watches tell all that has happened."""
    world.say("the watches catch up")
    world.leader.watches.catch_up()


def watches_lag(world: World, draw: random.Random) -> None:
    """Each of the leader's watches tells a part of what has happened."""
    world.say("the watches get on, each as far as it gets")
    world.leader.watches.lag(draw)


def watches_repeat(world: World, draw: random.Random) -> None:
    """A watch goes back in time."""
    world.say("a watch tells old events again")
    world.leader.watches.repeat(draw)


def watch_breaks(world: World, draw: random.Random) -> None:
    """A watch is replaced by a list, which may come from an API server that is behind."""
    plural = draw.choice(watching.STREAMS)
    # The streams of the children refuse a list that is older than what they have told.
    older_by = draw.choice([0, 1, 3, 10]) if plural == naming.PLURAL else 0
    world.say(f"the watch of {plural} breaks; the list that follows is {older_by} events old")
    world.leader.watches.list_anew(plural, older_by)


def leader_changes(world: World, draw: random.Random) -> None:
    """The other process gets the Lease."""
    world.change_leader()
    world.say(f"{world.leader.name} becomes the leader")


def overtaken(world: World, draw: random.Random) -> None:
    """The leader stops in the middle of a visit, and the other process takes over and visits."""
    calls = draw.randint(0, 8)
    world.say(f"{world.leader.name} visits and stops after {calls} calls")
    world.begin(world.leader, calls)
    leader_changes(world, draw)
    world.visit(world.leader)


def woken(world: World, draw: random.Random) -> None:
    """A process that stopped in the middle of a visit goes on with what it has decided long ago."""
    for instance in (world.operator, world.rival):
        if instance.is_visiting:
            world.say(f"{instance.name} goes on")
            world.visit(instance)


def restart(world: World, draw: random.Random) -> None:
    """The operator starts anew, at times with another version or configuration."""
    world.leader.settings = draw.choice(_CONFIGURATIONS)
    world.say(f"{world.leader.name} starts anew, with another configuration perhaps")
    world.leader.restart()


def rollout_moves(world: World, draw: random.Random) -> None:
    """The Deployment controller looks."""
    is_late = draw.random() < 0.05
    world.say("the Deployment controller looks" + (" and finds the rollout late" if is_late else ""))
    controllers.move_deployment(world.api, "iris", is_late=is_late)


def pods_move(world: World, draw: random.Random) -> None:
    """Pods come, start, become ready or fail, and go."""
    world.say("pods move")
    controllers.move_pods(world.api, "iris", ready=draw.random() < 0.9)


def all_moves(world: World, draw: random.Random) -> None:
    """Kubernetes gets everything done that there is to do."""
    world.say("everything in the cluster comes to rest")
    world.settle()


def scaled(world: World, draw: random.Random) -> None:
    """The autoscaler chooses a number."""
    if controllers.scale(world.api, "iris", draw.randint(1, 6)):
        world.say("the autoscaler scales")


def garbage(world: World, draw: random.Random) -> None:
    """Garbage collection gets on."""
    removed = controllers.collect_garbage(world.api, draw.randint(1, 4))
    world.say(f"garbage collection removes {removed} objects")


def pod_lost(world: World, draw: random.Random) -> None:
    """A node takes a pod with it."""
    pods = [name for name in world.api.objects if name[0] == "pods"]
    if pods:
        name = draw.choice(sorted(pods))
        world.say(f"pod {name[2]} is lost")
        world.api.remove_now(name)


_MEDDLERS: tuple[Step, ...] = (
    people.edit,
    people.edit,
    people.delete,
    people.recreate,
    people.spoil,
    people.remove_child,
    people.occupy,
    people.vacate,
    garbage,
    scaled,
    all_moves,
    leader_changes,
)

STEPS: tuple[tuple[Step, int], ...] = (
    (visit, 18),
    (faulty_visit, 10),
    (hard_visit, 4),
    (meddled_visit, 8),
    (watches_catch_up, 10),
    (watches_lag, 8),
    (watches_repeat, 3),
    (watch_breaks, 3),
    (leader_changes, 2),
    (overtaken, 3),
    (woken, 4),
    (restart, 3),
    (rollout_moves, 10),
    (pods_move, 10),
    (all_moves, 6),
    (scaled, 4),
    (garbage, 4),
    (pod_lost, 2),
    (people.edit, 16),
    (people.delete, 1),
    (people.recreate, 4),
    (people.spoil, 5),
    (people.remove_child, 3),
    (people.occupy, 1),
    (people.vacate, 2),
    (people.publish, 5),
)
