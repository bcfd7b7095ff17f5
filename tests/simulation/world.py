"""The simulated world: the API, the operator's processes, what is remembered for the verdict, and the story so far.

`adversary` acts on it, `run` plays it. An invariant that doesn't hold comes out of whatever was done, as an
`oracle.Violation`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from modelyard_operator import naming, objects, plan
from modelyard_operator.objects import Kind, Manifest
from tests.simulation import api, controllers, oracle, watching
from tests.simulation.process import Call, Fault, Instance
from tests.support import cluster_world

SETTINGS = cluster_world.SETTINGS
USER = ("kubectl-edit", "Update", "")
RESOURCE = (naming.PLURAL, "default", "iris")
_WATCHED = (naming.PLURAL, "deployments", "replicasets")
_CALLS_OF_A_VISIT = 60  # many times what the longest visit needs


class World:
    """One cluster with one ModelDeployment called iris, at most."""

    def __init__(self) -> None:
        self.api = api.FastCluster()
        self.api.on_change = self._on_change
        self.oracle = oracle.Oracle(self.api)
        self.history = watching.History()
        self.operator = Instance("the operator", self.api, self.history, SETTINGS)
        self.rival = Instance("the rival", self.api, self.history, SETTINGS)
        self.rival.is_leader = False
        self._since: dict[str, dict[str, int]] = {}  # process -> when its visit began
        self.story: list[str] = []
        self.writes = 0

    @property
    def leader(self) -> Instance:
        """The process that holds the Lease."""
        return self.operator if self.operator.is_leader else self.rival

    def change_leader(self) -> None:
        """Give the Lease to the other process; what the first has under way goes on, and finds the fence closed."""
        for instance in (self.operator, self.rival):
            instance.is_leader = not instance.is_leader

    def say(self, line: str) -> None:
        """Add a line to the story."""
        self.story.append(line)

    def visit(
        self,
        instance: Instance,
        faults: Mapping[int, Fault] | None = None,
        meddling: Mapping[int, Callable[[], None]] | None = None,
    ) -> Exception | None:
        """Let a process visit the resource and give how that ended; its n-th call may go wrong, or something else
        may happen before it.
        """
        self._begin(instance)
        for index in range(_CALLS_OF_A_VISIT):
            if not instance.is_visiting:
                return instance.outcome
            if meddling and index in meddling:
                meddling[index]()
            self.advance(instance, (faults or {}).get(index))
        raise oracle.Violation(f"a visit makes no more than {_CALLS_OF_A_VISIT} calls")

    def begin(self, instance: Instance, calls: int) -> None:
        """Let a process visit the resource until a call that it doesn't make yet."""
        self._begin(instance)
        for _ in range(calls):
            if instance.is_visiting:
                self.advance(instance, None)

    def _begin(self, instance: Instance) -> None:
        if not instance.is_visiting:
            self._since[instance.name] = self.oracle.mark()
            self._told(instance, instance.start())

    def advance(self, instance: Instance, fault: Fault | None) -> None:
        """Let the pending call of a visit happen, or what is in its place."""
        outcome = instance.next(fault, lambda call: self._carry_out(instance, call))
        if fault is not None:
            self.say(f"    but {fault.value}")
        self._told(instance, outcome)

    def _told(self, instance: Instance, outcome: Call | Exception | None) -> None:
        if isinstance(outcome, Exception):
            self.say(f"    {instance.name}'s visit ends: {outcome}")

    def _carry_out(self, instance: Instance, call: Call) -> Any:
        if call.write is None:
            return call.run()
        self.say(f"    {instance.name}: {call.what}")
        name = _target(call.write)
        before = self.api.find(name[0], name[2])
        if not instance.is_leader:
            self.say("      which the fence keeps back")
        result = call.run()
        after = self.api.find(name[0], name[2])
        if before is not after:
            self.writes += 1
        self.oracle.judge(oracle.Deed(call.write, before, after, self._since[instance.name]))
        return result

    def _on_change(self, change: api.Change) -> None:
        self.history.note(change, self.api.version)
        if change.name[0] == Kind.CONTROLLER_REVISION.plural:
            if change.after is None:
                self.oracle.lost.add(change.name[2])
            else:
                self.oracle.intents[change.name[2]] = change.after["data"]["intent"]
        if change.name[0] in _WATCHED:
            self.oracle.notice()

    # Rest

    def settle(self) -> None:
        """Let Kubernetes' controllers do all they have to do, to the last pod and the last deadline."""
        for is_late in (False, True):
            for _ in range(200):
                before = self.api.version
                controllers.collect_garbage(self.api)
                controllers.move_deployment(self.api, "iris", is_late=is_late)
                controllers.move_pods(self.api, "iris")
                controllers.scale(self.api, "iris")
                if self.api.version == before:
                    break
            else:
                raise AssertionError("the simulated controllers don't come to rest")

    def resource(self) -> Manifest | None:
        """Give the ModelDeployment, None when there is none."""
        return self.api.find(naming.PLURAL, "iris")


def _target(write: plan.Action | Manifest) -> api.Name:
    if isinstance(write, plan.StopPod):
        return "pods", write.namespace, write.name
    if isinstance(write, plan.Delete):
        return write.kind.plural, write.namespace, write.name
    manifest = write.manifest if isinstance(write, plan.Apply) else write
    is_resource = manifest["kind"] == naming.KIND
    plural = naming.PLURAL if is_resource else objects.kind_of(manifest).plural
    return plural, manifest["metadata"]["namespace"], manifest["metadata"]["name"]
