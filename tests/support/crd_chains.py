"""Plays chains of specs on a real API server: good, then one wrong or odd spec after the other, then good again.

`play` gives what was wrong, in words, and nothing when all held. The operator's own reconciler makes the visits; the
Deployment controller is played by `cluster_world`. Judged after each step, for whatever the spec was:

- the API server refuses it with a message that names the field, or
- the resource is Stalled with a reason of the documented list and a message, and no child has changed, or
- it takes effect: a child or the status differs from those of the good spec it was made from;
- the reconciler ends in no other way than its three documented ones, and comes to rest.
"""

import collections
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from modelyard_operator import cluster, conditions, naming
from modelyard_operator.objects import Kind, Manifest
from tests.support import cluster_apiserver, cluster_world, crd_admission, crd_effects, crd_fields
from tests.support.crd_mutations import Mutation

MOST_VISITS = 6
# Handed on to the autoscaler as they are, so that only the API server knows what is wrong in them.
_PASSED_ON = ("spec.autoscaling.metrics", "spec.autoscaling.behavior")
_WRITES = ("apply", "delete", "apply_status")


class CountingCluster:
    """The operator's cluster, with a count of the writes that went through it."""

    def __init__(self, inner: cluster.ApiCluster) -> None:
        self._inner = inner
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._counted(found) if name in _WRITES else found

    def _counted(self, write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def count(*arguments: Any) -> Any:
            answer = await write(*arguments)
            self.writes += 1  # one that was refused has changed nothing
            return answer

        return count


class Chain:
    """One namespace with one ModelDeployment called iris, whose spec is replaced again and again."""

    def __init__(
        self, backend: cluster_apiserver.ApiBackend, inner: cluster.ApiCluster, namespace: str
    ) -> None:
        self._backend = backend
        self._cluster = CountingCluster(inner)
        self._namespace = namespace
        self.last: crd_effects.Picture | None = None
        self.world = cluster_world.World(backend, self._cluster, namespace)

    async def start(self, spec: dict[str, Any]) -> None:
        """Make the namespace and the resource, and bring it to Ready."""
        await self._backend.make_namespace(self._namespace)
        await self._backend.create(naming.PLURAL, crd_admission.resource(self._namespace, spec))
        await self.settle()
        await self.roll_out()

    async def put(self, spec: Any) -> crd_admission.Verdict:
        """Replace the spec and give what the API server says to it."""
        found = await self._backend.read(naming.PLURAL, self._namespace, "iris")
        assert found is not None
        path = f"/apis/{naming.API_VERSION}/namespaces/{self._namespace}/{naming.PLURAL}/iris"
        query = "?fieldManager=kubectl&fieldValidation=Strict"
        status, answer = await self._backend.request("PUT", path + query, {**found, "spec": spec})
        return crd_admission.Verdict(status, str(answer.get("message", "")))

    async def settle(self) -> None:
        """Let the operator visit until it writes nothing any more.

        Raises:
            AssertionError: it goes on writing.
        """
        for _ in range(MOST_VISITS):
            before = self._cluster.writes
            await self.world.visit()
            if self._cluster.writes == before:
                return
        raise AssertionError("the operator does not come to rest")

    async def roll_out(self) -> None:
        """Play the Deployment controller, and let the operator see it."""
        await self.world.roll_out()
        await self.settle()

    async def picture(self) -> crd_effects.Picture:
        """Give what there is of children and status, without what differs between two equal ones."""
        children: list[Manifest] = []
        for kind in Kind:
            if kind is not Kind.CONTROLLER_REVISION:
                children += await self._backend.listed(kind.plural, self._namespace)
        self.last = crd_effects.picture(children, await self.world.status())
        return self.last


Make = Callable[[str], Chain]


class Account:
    """What came of all chains: the number of specs by outcome, and everything that was wrong, in words."""

    def __init__(self) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []


async def play(
    chain: Chain, steps: Sequence[Mutation], grounds: crd_effects.Grounds, account: Account
) -> None:
    """Play a chain from a good spec over all steps to a good spec, and put what came of it into the account."""
    wrong = account.wrong
    good = crd_fields.full()
    await chain.start(good)
    await chain.picture()
    for step in steps:
        try:
            wrong += [f"{step.sentence}: {each}" for each in await _step(chain, step, grounds, account)]
        except Exception as error:  # whatever escapes the reconciler is what we are after
            wrong.append(f"{step.sentence}: {type(error).__name__} escaped: {str(error)[:300]}")
    verdict = await chain.put(good)
    await chain.settle()
    await chain.roll_out()
    stated = await chain.world.conditions()
    if verdict.status != 200 or stated.get("Ready") != "True RolledOut":
        wrong.append(f"after {steps[-1].sentence} the good spec is not Ready: {verdict.message} {stated}")
    elif difference := crd_effects.differences(grounds.of(good), await chain.picture()):
        wrong.append(f"after {steps[-1].sentence} the children differ from a fresh create: {difference}")


async def _step(chain: Chain, step: Mutation, grounds: crd_effects.Grounds, account: Account) -> list[str]:
    verdict = await chain.put(step.spec)
    if verdict.status != 200:
        account.outcomes["refused"] += 1
        return _judge_refusal(verdict, step)
    before = chain.last
    await chain.settle()
    after = await chain.picture()
    stated = await chain.world.conditions()
    account.outcomes[stated.get("Stalled", "takes effect")] += 1
    if "Stalled" in stated:
        return _judge_stalled(step, (stated["Stalled"], await chain.world.message("Stalled")), before, after)
    if "ClusterError" in stated.get("Reconciling", ""):
        return [f"tried again for ever: {await chain.world.message('Reconciling')}"]
    return _judge_effect(step, after, grounds)


def _judge_refusal(verdict: crd_admission.Verdict, step: Mutation) -> list[str]:
    if not verdict.is_refusal:
        return [f"HTTP {verdict.status} {verdict.message[:200]}"]
    if not crd_admission.names_the_field(verdict.message, step.field):
        return [f"refused without the field's name: {verdict.message[:300]}"]
    return []


def _judge_stalled(
    step: Mutation, said: tuple[str, str], before: crd_effects.Picture | None, after: crd_effects.Picture
) -> list[str]:
    condition, message = said
    reason = condition.removeprefix("True ")
    wrong = []
    if reason not in conditions.STALLED_REASONS or not message:
        wrong.append(f"Stalled without a documented reason or a message: {condition} {message}")
    if reason == conditions.CHILD_REJECTED and not step.field.startswith(_PASSED_ON):
        wrong.append(f"let in, and then a child was refused, about which nobody wrote: {message[:300]}")
    if reason in (conditions.SPEC_INVALID, conditions.METADATA_NOT_ALLOWED, conditions.RUNTIME_CLASS_UNKNOWN):
        if not crd_admission.names_the_field(message, step.field):
            wrong.append(f"Stalled without the field's name: {message[:300]}")
        if before and (difference := crd_effects.differences(before.of_children(), after.of_children())):
            wrong.append(f"Stalled {reason}, and children were changed all the same: {difference}")
    return wrong


def _judge_effect(step: Mutation, after: crd_effects.Picture, grounds: crd_effects.Grounds) -> list[str]:
    if crd_effects.differences(grounds.of(step.ground), after) or crd_effects.need_not_show(step):
        return []
    return ["accepted and ignored: neither a child nor the status shows it"]
