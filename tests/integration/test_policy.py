"""The chart's ValidatingAdmissionPolicy and the operator say the same to the same spec, word for word.

Each set of rules is rendered by Helm for namespaces of its own, so that all of them are in force side by side on one
API server, and every spec is tried in every one (a dry run: nothing is kept).
"""

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from devcluster import toolchain
from modelyard_operator import api, catalogue, config, errors, naming, policy, policyspec
from modelyard_operator.objects import Manifest
from tests.support import cluster_apiserver, cluster_world, crd_admission, policy_corpus, policy_specs

Backend = cluster_apiserver.ApiBackend
_PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
_REFUSED = re.compile(
    r"ValidatingAdmissionPolicy '[^']+' with binding '[^']+' denied request: (.*)", re.DOTALL
)
AT_ONCE = 16
OFFERED = config.OperatorConfig(
    runtime_classes=msgspec.convert(policy_specs.CLASSES, dict[str, config.RuntimeClass])
)


def render(release: str, namespaces: list[str], rules: dict[str, Any], folder: Path) -> list[Manifest]:
    """Give the policies and bindings of a release with rules for some namespaces."""
    values = folder / f"{release}.yaml"
    ruled = {
        "watchNamespaces": namespaces,
        "runtimeClasses": policy_specs.CLASSES,
        "policy": {**rules, "admission": {"enabled": True}},
    }
    values.write_text(yaml.safe_dump(ruled))
    command = [str(toolchain.binary("helm")), "template", release, "charts/modelyard", f"--values={values}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [each for each in yaml.safe_load_all(text) if each and each["kind"] in _PLURALS]


async def install(backend: Backend, manifests: list[Manifest]) -> None:
    for manifest in manifests:
        path = f"/apis/admissionregistration.k8s.io/v1/{_PLURALS[manifest['kind']]}"
        await backend.must("POST", path, manifest)


def by_operator(namespace: str, spec: dict[str, Any], rules: dict[str, Any]) -> str:
    """Give what the operator says, empty when the rules allow it."""
    metadata = {"name": "iris", "namespace": namespace, "uid": "u", "generation": 1}
    model_deployment = api.parse({"metadata": metadata, "spec": spec})
    ruled = policyspec.read_policy({"MODELYARD_POLICY": msgspec.json.encode(rules).decode()})
    try:
        policy.check_size(model_deployment, ruled)
    except errors.Stalled as broken:
        return broken.message
    offer = catalogue.find(model_deployment, OFFERED)
    found = policy.violation(model_deployment, offer.image if offer else "", ruled)
    return found.message if found else ""


async def by_api_server(backend: Backend, namespace: str, spec: dict[str, Any]) -> str:
    """Give what the API server says, empty when it lets it in."""
    verdict = await crd_admission.ask(backend, spec, namespace)
    if verdict.status == 201:
        return ""
    denied = _REFUSED.search(verdict.message)
    assert denied is not None, verdict.message
    return denied[1]


class Story:
    """All rules in force on one API server, and what was said there."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig, self.folder = kubeconfig, folder
        self.differences: list[str] = []
        self.tried = 0
        self.refused = 0
        self.scaled: dict[int, tuple[int, str]] = {}

    async def play(self) -> None:
        async with cluster_apiserver.connect(self.kubeconfig) as (backend, _cluster):
            cases: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
            for number, rules in enumerate(policy_specs.RULES.values()):
                namespaces = [f"team-{number}", f"prod-{number}"]
                await self._enforce(backend, f"rules-{number}", namespaces, rules)
                cases += [(each, spec, rules) for each in namespaces for spec in policy_specs.SPECS.values()]
            for number, pattern in enumerate(policy_specs.PATTERNS):
                rules = {"allowedURIs": {"*": [pattern]}}
                namespace = f"pattern-{number}"
                await self._enforce(backend, f"pattern-{number}", [namespace], rules)
                uris = [case.uri for case in policy_corpus.CASES if case.pattern == pattern]
                cases += [(namespace, policy_specs.spec(model={"uri": uri}), rules) for uri in uris]
            await self._until_all_are_in_force(backend)
            turn = asyncio.Semaphore(AT_ONCE)

            async def compare(namespace: str, spec: dict[str, Any], rules: dict[str, Any]) -> None:
                try:
                    said = by_operator(namespace, spec, rules)
                except errors.Stalled:
                    return  # the CRD's own rules refuse it, before any policy is asked
                async with turn:
                    told = await by_api_server(backend, namespace, spec)
                self.tried += 1
                self.refused += bool(said)
                if said != told:
                    self.differences.append(f"{namespace} {rules} {spec}: {said!r} but {told!r}")

            await asyncio.gather(*(compare(*case) for case in cases))
            await self._scale(backend, f"team-{list(policy_specs.RULES).index('few pods')}")

    async def _scale(self, backend: Backend, namespace: str) -> None:
        """Scale a model as kubectl scale does, within the rules and beyond."""
        path = f"/apis/{naming.API_VERSION}/namespaces/{namespace}/{naming.PLURAL}"
        await backend.must("POST", path, crd_admission.resource(namespace, policy_specs.spec(replicas=1)))
        for replicas in (3, 4):
            patch = {"spec": {"replicas": replicas}}
            code, answer = await backend.request(
                "PATCH", f"{path}/iris/scale", patch, "application/merge-patch+json"
            )
            self.scaled[replicas] = code, str(answer.get("message", ""))

    async def _enforce(
        self, backend: Backend, release: str, namespaces: list[str], rules: dict[str, Any]
    ) -> None:
        for namespace in namespaces:
            await backend.make_namespace(namespace)
        manifests = await asyncio.to_thread(render, release, namespaces, rules, self.folder)
        await install(backend, manifests)

    async def _until_all_are_in_force(self, backend: Backend) -> None:
        """Wait until the API server has seen the rules that were made last, and with them all others."""
        rules = {"requireDigest": True}
        await self._enforce(backend, "last", ["last"], rules)

        async def refuses() -> bool:
            return await by_api_server(backend, "last", policy_specs.spec()) != ""

        await cluster_world.wait_until(refuses, "the last policy is in force")


@pytest.fixture(scope="module")
def story(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """What was said to every spec under every set of rules."""
    told = Story(kubeconfig, tmp_path_factory.mktemp("policy"))
    asyncio.run(told.play())
    return told


def test_the_api_server_and_the_operator_say_the_same_to_the_same_spec(story: Story) -> None:
    assert story.differences == []


def test_enough_was_tried_and_enough_was_refused(story: Story) -> None:
    assert story.tried > 900
    assert story.tried - 100 > story.refused > 250


def test_kubectl_scale_is_under_the_same_rule(story: Story) -> None:
    assert story.scaled[3][0] == 200
    code, message = story.scaled[4]
    assert code == 422
    assert "policy.maxReplicas: spec.replicas must be 3 or less; ask the administrator for more." in message
