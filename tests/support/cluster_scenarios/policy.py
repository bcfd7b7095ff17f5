"""Scenarios of the administrator's rules: what is not started, what goes on, and what is said."""

from typing import Any

import msgspec

from modelyard_operator import config, naming, policyspec
from modelyard_operator.objects import Kind
from tests.support import cluster_world
from tests.support.cluster_scenarios import rollback
from tests.support.cluster_scenarios.registry import scenario
from tests.support.cluster_world import World

DIGEST = "sha256:" + "a" * 64
OTHER = {"uri": "s3://elsewhere/model.joblib"}
MODELS_ONLY = policyspec.Policy(allowed_uris={"*": ("s3://models/",)})
PINNED_ONLY = policyspec.Policy(require_digest=True)


def ruled(rules: policyspec.Policy, image: str = "modelyard/runtime:test") -> config.OperatorConfig:
    """Give the settings of an operator with rules."""
    classes = {"default": config.RuntimeClass(image=image)}
    return msgspec.structs.replace(cluster_world.SETTINGS, policy=rules, runtime_classes=classes)


async def served(world: World, replicas: int = 1, **spec: Any) -> str:
    """Have a model ready, and give its revision."""
    await world.create(replicas=replicas, **spec)
    await world.converge()
    await world.roll_out()
    await world.converge()
    assert (await world.conditions())["Ready"] == "True RolledOut"
    return await world.template_revision()


async def assert_stalled(world: World, rule: str) -> None:
    conditions = await world.conditions()
    assert conditions["Stalled"] == "True PolicyViolation"
    assert conditions["Ready"] == "False PolicyViolation"
    message = await world.message("Stalled")
    assert message.startswith(f"policy.{rule}: ")


@scenario("a resource that breaks a rule from the start gets no children, and the status names the rule")
async def from_the_start(world: World) -> None:
    world.with_settings(ruled(PINNED_ONLY))
    await world.create(replicas=2)
    await world.converge()
    await assert_stalled(world, "requireDigest")
    for kind in Kind:
        assert await world.backend.listed(kind.plural, world.namespace) == []
    await world.change(model={"digest": DIGEST})
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 2
    assert "Stalled" not in await world.conditions()


@scenario(
    "a change that breaks a rule changes nothing: what serves goes on until the author has thought again"
)
async def by_a_change(world: World) -> None:
    world.with_settings(ruled(MODELS_ONLY))
    revision = await served(world)
    before = await world.child_versions()
    await world.change(model=OTHER)
    await world.converge()
    await assert_stalled(world, "allowedURIs")
    assert "s3://models/" in await world.message("Stalled")
    assert (await world.conditions())["Available"] == "True PodsReady"
    assert await world.child_versions() == before
    await world.change(model=cluster_world.MODEL)
    await world.converge()
    assert await world.template_revision() == revision
    assert await world.conditions() == {"Available": "True PodsReady", "Ready": "True RolledOut"}


@scenario("a rule that is made later is told, and what serves is scaled, repaired and stopped as before")
async def made_later(world: World) -> None:
    await served(world)
    generation = (await world.deployment())["metadata"]["generation"]
    world.with_settings(ruled(PINNED_ONLY))
    await world.converge()
    await assert_stalled(world, "requireDigest")
    assert (await world.conditions())["Available"] == "True PodsReady"
    assert (await world.deployment())["metadata"]["generation"] == generation
    await world.scale(3)
    await world.remove(Kind.SERVICE)
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 3
    assert await world.child(Kind.SERVICE) is not None
    await assert_stalled(world, "requireDigest")
    await world.scale(0)
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 0
    before = await world.versions()
    await world.visit()
    assert await world.versions() == before
    world.with_settings(ruled(policyspec.Policy()))
    await world.scale(3)
    await world.converge()
    await world.roll_out()
    await world.converge()
    assert await world.conditions() == {"Available": "True PodsReady", "Ready": "True RolledOut"}


@scenario("a Deployment that is deleted while its model breaks a rule is not made anew")
async def deleted(world: World) -> None:
    await served(world)
    world.with_settings(ruled(PINNED_ONLY))
    await world.remove(Kind.DEPLOYMENT)
    await world.converge()
    await assert_stalled(world, "requireDigest")
    assert await world.child(Kind.DEPLOYMENT) is None


@scenario("a revision that was left and that a rule forbids by now is not gone back to")
async def gone_back(world: World) -> None:
    first = await served(world)
    await world.change(model={"digest": DIGEST})
    await world.converge()
    await world.roll_out()
    await world.converge()
    second = await world.template_revision()
    assert second != first
    world.with_settings(ruled(PINNED_ONLY))
    await world.change(model={"digest": None})
    await world.converge()
    await assert_stalled(world, "requireDigest")
    assert await world.template_revision() == second
    assert (await world.conditions())["Available"] == "True PodsReady"


@scenario("a failed update is not rolled back to a revision that a rule forbids by now")
async def no_way_back(world: World) -> None:
    first = await served(world, replicas=2, rollout=rollback.ROLLBACK)
    world.with_settings(ruled(PINNED_ONLY))
    broken = await rollback.failed(world, {**rollback.BROKEN, "digest": DIGEST})
    await world.converge()
    assert await world.template_revision() == broken
    conditions = await world.conditions()
    assert (conditions["Available"], conditions["Stalled"]) == ("True PodsReady", "True LoadFailed")
    message = await world.message("Stalled")
    told = f"It is not rolled back to {first}, which breaks a rule by now: policy.requireDigest: "
    assert "is no pickle. " in message
    assert told in message
    before = await world.versions()
    await world.visit()
    assert await world.versions() == before
    world.with_settings(ruled(policyspec.Policy()))
    await world.converge()
    assert await world.template_revision() == first
    assert (await world.conditions())["Stalled"] == "True RolledBack"


@scenario("a rule that is made after a rollback is told, and what was gone back to serves and scales on")
async def rule_after_rollback(world: World) -> None:
    first = await served(world, replicas=1, rollout=rollback.ROLLBACK)
    await rollback.failed(world, {**rollback.BROKEN, "digest": DIGEST})
    await world.converge()
    await world.roll_out()
    await world.remove_pods()
    world.with_settings(ruled(PINNED_ONLY))
    await world.scale(2)
    await world.converge()
    assert await world.template_revision() == first
    assert (await world.deployment())["spec"]["replicas"] == 2
    assert (await world.conditions())["Stalled"] == "True RolledBack"
    told = f"Revision {first} breaks a rule by now and is left as it runs: policy.requireDigest: "
    assert told in await world.message("Stalled")
    await world.remove(Kind.DEPLOYMENT)
    await world.converge()
    assert await world.template_revision() != first


@scenario("more pods than the rules allow are not started, and those there are are left")
async def too_many(world: World) -> None:
    world.with_settings(ruled(policyspec.Policy(max_replicas=2)))
    await served(world, replicas=2)
    await world.scale(3)
    await world.converge()
    await assert_stalled(world, "maxReplicas")
    assert (await world.deployment())["spec"]["replicas"] == 2
    await world.scale(1)
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 1


@scenario("an image that the rules don't allow is not adopted, and what runs is not held against its author")
async def newer_image(world: World) -> None:
    rules = policyspec.Policy(allowed_images=("modelyard/runtime:test",))
    first = await served(world, runtime={"updatePolicy": "Auto"})
    world.with_settings(ruled(rules, image="elsewhere/runtime:newer"))
    await world.converge()
    assert await world.template_revision() == first
    assert await world.conditions() == {"Available": "True PodsReady", "Ready": "True RolledOut"}
    await world.change(model=OTHER)
    await world.converge()
    await assert_stalled(world, "allowedImages")
    assert await world.template_revision() == first


@scenario("an image that the rules don't allow any more gives way to one that they allow")
async def older_image(world: World) -> None:
    first = await served(world, runtime={"updatePolicy": "Auto"})
    world.with_settings(ruled(policyspec.Policy(allowed_images=("modelyard/runtime:newer",))))
    await world.converge()
    await assert_stalled(world, "allowedImages")
    assert await world.template_revision() == first
    rules = policyspec.Policy(allowed_images=("modelyard/runtime:newer",))
    world.with_settings(ruled(rules, image="modelyard/runtime:newer"))
    await world.converge()
    assert await world.image() == "modelyard/runtime:newer"
    await world.roll_out()
    await world.converge()
    assert (await world.conditions())["Ready"] == "True RolledOut"


@scenario("a paused resource that breaks a rule says so, and nothing is applied")
async def paused(world: World) -> None:
    await served(world, paused=False)
    await world.change(paused=True)
    world.with_settings(ruled(PINNED_ONLY))
    await world.scale(3)
    await world.converge()
    await assert_stalled(world, "requireDigest")
    assert (await world.deployment())["spec"]["replicas"] == 1


@scenario(
    "the pods of a class with an identity run under its name, without a token, and only fetch is given it"
)
async def identity(world: World) -> None:
    offer = config.RuntimeClass(
        image="modelyard/runtime:test", service_account_name="models", image_pull_secrets=("registry",)
    )
    world.with_settings(msgspec.structs.replace(cluster_world.SETTINGS, runtime_classes={"default": offer}))
    await world.create(replicas=1)
    await world.converge()
    template = (await world.deployment())["spec"]["template"]
    assert template["spec"]["serviceAccountName"] == "models"
    assert template["spec"]["automountServiceAccountToken"] is False
    assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    for key in naming.IDENTITY_FOR_FETCH_ONLY:
        assert {naming.PREPARE, naming.SERVE} == set(
            template["metadata"]["annotations"][key].replace(";", ",").split(",")
        )
    granted = {
        each["name"]: {variable["name"]: variable.get("value") for variable in each["env"]}.get(
            naming.ENV_POD_IDENTITY
        )
        for each in (*template["spec"]["initContainers"], *template["spec"]["containers"])
    }
    assert granted == {naming.FETCH: "true", naming.PREPARE: None, naming.SERVE: None}
    before = await world.versions()
    await world.visit()
    assert await world.versions() == before
