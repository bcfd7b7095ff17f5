"""With `policy.fenceOperator` the operator's token is worth models and nothing else; the operator notices nothing."""

import asyncio
import copy
import functools
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster import toolchain
from modelyard_operator import api, desired, naming, revisions
from modelyard_operator.desired import pod, revision
from modelyard_operator.objects import Kind, Manifest
from tests.support import (
    chart_rights,
    cluster_apiserver,
    cluster_golden,
    cluster_process,
    cluster_scenarios,
    cluster_world,
    stolen_token,
)

Backend = cluster_apiserver.ApiBackend
Story = Callable[[int, str], Coroutine[Any, Any, None]]
RELEASE = "fenced-system"
MODELS = "fenced"
USER = f"system:serviceaccount:{RELEASE}:{chart_rights.OPERATOR}"
OUR_WORDS = "policy.fenceOperator: "
_PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
# Everything the operator does to objects: creating, adopting, repairing, locking, handing over, going back, deleting.
MODULES = ("adoption", "locking", "meddling", "ownership", "replicas", "rollback", "updates")
# In these somebody forges objects with the operator's own identity, which is what the fence is there for.
FORGERIES = (
    "what only has our labels, or only our field manager, is somebody else's",
    "an orphaned revision with another template than ours is never run",
)
# Refused by an API server that doesn't let anything privileged in, before any policy is asked.
BEFORE_THE_FENCE = {"a privileged container"}
SPEC = {"model": {"uri": "s3://models/x", "credentials": {"secretName": "models-s3"}}, "replicas": 2}


def render() -> list[Manifest]:
    classes = {name: offer.image for name, offer in cluster_world.SETTINGS.runtime_classes.items()}
    sets = [f"--set=runtimeClasses.{name}.image={image}" for name, image in classes.items()]
    rules = ["--set=policy.fenceOperator.enabled=true", "--set=policy.credentialsPrefix=models-"]
    command = [
        str(toolchain.binary("helm")),
        "template",
        "modelyard",
        "charts/modelyard",
        f"--namespace={RELEASE}",
        *sets,
        *rules,
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [each for each in yaml.safe_load_all(text) if each and each["kind"] in _PLURALS]


@functools.cache
def children() -> dict[str, Manifest]:
    """Give what the operator makes for a model, by plural."""
    metadata = {"name": "iris", "namespace": MODELS, "uid": "u", "generation": 1}
    spec: dict[str, Any] = {**SPEC, "autoscaling": {"minReplicas": 2, "maxReplicas": 3}}
    del spec["replicas"]
    model_deployment = api.parse({"metadata": metadata, "spec": spec})
    name = revisions.name(model_deployment)
    template = pod.render(model_deployment, name, cluster_world.SETTINGS)
    made = desired.children(model_deployment, template, creating=True)
    data = {"intent": revisions.intent(model_deployment), "template": template}
    record = revision.build(model_deployment.identity, name, data, 1, {})
    return {kind.plural: child for kind, child in made.items()} | {Kind.CONTROLLER_REVISION.plural: record}


class Fence:
    """A fenced cluster, and what came of everything that was tried in it."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig, self.folder = kubeconfig, folder
        self.stolen: dict[str, str] = {}
        self.lived: dict[str, str] = {}

    async def set_up(self) -> Path:
        """Install the chart's rights and the fence; give the operator's kubeconfig."""
        async with cluster_apiserver.connect(self.kubeconfig) as (backend, _cluster):
            await backend.make_namespace(RELEASE)
            await backend.make_namespace(MODELS)
            await chart_rights.installed(backend, RELEASE)
            for manifest in await asyncio.to_thread(render):
                path = f"/apis/admissionregistration.k8s.io/v1/{_PLURALS[manifest['kind']]}"
                await backend.must("POST", path, manifest)

            async def is_in_force() -> bool:
                bad = {"metadata": {"name": "probe", "namespace": MODELS}, "spec": {"ports": [{"port": 80}]}}
                bad_image = copy.deepcopy(children()["deployments"])
                stolen_token.DEPLOYMENTS["another image"](bad_image)
                said = [
                    await self.write(backend, "services", bad),
                    await self.write(backend, "deployments", bad_image),
                ]
                return all(OUR_WORDS in each for each in said)

            await cluster_world.wait_until(is_in_force, "the fence is in force")
            token = await chart_rights.token(backend, RELEASE)
            server = cluster_process.server_of(self.kubeconfig, self.folder)
            return cluster_process.write_kubeconfig(self.folder / "kubeconfig", *server, token)

    async def write(self, backend: Backend, plural: str, body: Manifest) -> str:
        """Create an object as the operator, without keeping it; give what was said against it, empty when nothing."""
        path = f"{cluster_apiserver.GROUPS[plural]}/namespaces/{MODELS}/{plural}?dryRun=All"
        code, answer = await backend.request("POST", path, body, as_user=USER)
        return "" if code == 201 else f"{code} {answer.get('message', '')}"

    async def steal(self) -> None:
        """Make every attempt with the stolen token."""
        attempts: dict[str, tuple[str, stolen_token.Change]] = {
            **{name: ("deployments", change) for name, change in stolen_token.DEPLOYMENTS.items()},
            **{name: ("services", change) for name, change in stolen_token.SERVICES.items()},
            **stolen_token.OTHERS,
        }
        async with cluster_apiserver.connect(self.kubeconfig) as (backend, _cluster):
            for plural, child in children().items():
                self.lived[f"create {plural}"] = await self.write(backend, plural, child)
            for name, (plural, change) in attempts.items():
                body = copy.deepcopy(children()[plural])
                change(body)
                self.stolen[name] = await self.write(backend, plural, body)
            await self._take_over(backend)

    async def _take_over(self, backend: Backend) -> None:
        """Try to change and delete what belongs to others."""
        merge = "application/merge-patch+json"
        owner = {"metadata": {"ownerReferences": children()["services"]["metadata"]["ownerReferences"]}}
        labels = {"metadata": {"labels": naming.child_labels("iris")}}
        for plural in ("services", "configmaps", "poddisruptionbudgets", "horizontalpodautoscalers"):
            foreign = copy.deepcopy(children().get(plural, {"metadata": {}, "data": {}}))
            foreign["metadata"] = {"name": "database", "namespace": MODELS}
            await backend.create(plural, foreign)
            path = f"{cluster_apiserver.GROUPS[plural]}/namespaces/{MODELS}/{plural}/database"
            for what, patch in (("to own", owner), ("to label", labels)):
                code, answer = await backend.request("PATCH", path, patch, merge, USER)
                self.stolen[f"{what} somebody's {plural}"] = f"{code} {answer.get('message', '')}"
            if plural in ("poddisruptionbudgets", "horizontalpodautoscalers"):
                code, answer = await backend.request("DELETE", path, as_user=USER)
                self.stolen[f"to delete somebody's {plural}"] = f"{code} {answer.get('message', '')}"
        template = children()["deployments"]["spec"]["template"]
        metadata = {"name": "database", "namespace": MODELS}
        await backend.create("pods", {"metadata": metadata, "spec": template["spec"]})
        path = f"/api/v1/namespaces/{MODELS}/pods/database"
        code, answer = await backend.request("DELETE", path, as_user=USER)
        self.stolen["to delete somebody's pod"] = f"{code} {answer.get('message', '')}"

    async def live(self, limited: Path) -> None:
        """Play the scenarios and make every golden resource with the fenced operator, each in its own namespace."""
        async with (
            cluster_apiserver.connect(self.kubeconfig) as (backend, _administrators),
            cluster_apiserver.connect(limited) as (_operators, cluster),
        ):
            turn = asyncio.Semaphore(4)

            async def play(number: int, what: str, story: Coroutine[Any, Any, None]) -> None:
                async with turn:
                    try:
                        await story
                    except Exception as error:  # told by the test that asks for it
                        self.lived[what] = f"{type(error).__name__}: {error}"
                    else:
                        self.lived[what] = ""

            async def world(number: int) -> cluster_world.World:
                await backend.make_namespace(f"fenced-{number}")
                return cluster_world.World(backend, cluster, f"fenced-{number}")

            async def scenario(number: int, sentence: str) -> None:
                await cluster_scenarios.SCENARIOS[sentence](await world(number))

            async def golden(number: int, case: str) -> None:
                made = await world(number)
                body = cluster_golden.body(case)
                spec = {key: value for key, value in body["spec"].items() if key != "paused"}
                for secret in _secrets(spec):
                    secret["secretName"] = f"models-{secret['secretName']}"[:63]
                await made.create(**spec)
                await made.converge()
                stated = await made.conditions()
                assert "Stalled" not in stated, await made.message("Stalled")

            sentences = [
                sentence
                for sentence, function in cluster_scenarios.SCENARIOS.items()
                if function.__module__.rpartition(".")[2] in MODULES and sentence not in FORGERIES
            ]
            stories: list[tuple[str, Story]] = [(sentence, scenario) for sentence in sentences]
            stories += [(case, golden) for case in cluster_golden.CASES]
            await asyncio.gather(
                *(play(number, what, story(number, what)) for number, (what, story) in enumerate(stories))
            )


def _secrets(part: Any) -> list[dict[str, Any]]:
    """Give every reference to a Secret in a spec."""
    if isinstance(part, list):
        return [found for each in part for found in _secrets(each)]
    if not isinstance(part, dict):
        return []
    inner = [found for each in part.values() for found in _secrets(each)]
    return [part, *inner] if "secretName" in part else inner


@pytest.fixture(scope="module")
def fence(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Fence:
    """What came of everything."""
    made = Fence(kubeconfig, tmp_path_factory.mktemp("fence"))

    async def tell() -> None:
        limited = await made.set_up()
        await made.steal()
        await made.live(limited)

    asyncio.run(tell())
    return made


def test_nothing_that_is_tried_with_the_stolen_token_comes_through(fence: Fence) -> None:
    came_through = {
        name: said for name, said in fence.stolen.items() if not said.startswith(("403 ", "422 "))
    }
    assert came_through == {}


def test_it_is_the_fence_that_stops_it(fence: Fence) -> None:
    by_others = {name: said for name, said in fence.stolen.items() if OUR_WORDS not in said}
    assert {name: said for name, said in by_others.items() if name not in BEFORE_THE_FENCE} == {}


def test_enough_is_tried(fence: Fence) -> None:
    assert len(fence.stolen) >= 60
    assert cluster_scenarios.SCENARIOS.keys() >= set(FORGERIES)


def test_the_operator_lives_on_as_without_the_fence(fence: Fence) -> None:
    assert len(fence.lived) > 60
    assert {what: said for what, said in fence.lived.items() if said} == {}
