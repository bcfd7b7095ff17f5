"""The rights that the chart gives, as Helm renders them: to the operator, and to the people who may edit a namespace.

Nothing is read out of the templates by hand, so that what is tested is what `helm install` would create.
"""

import asyncio
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from devcluster import toolchain
from modelyard_operator.objects import Manifest
from tests.support import cluster_apiserver

CHART = Path("charts/modelyard")
OPERATOR = "modelyard-operator"
Right = tuple[str, str]  # verb, group/resource/subresource
_ROLES = ("Role", "ClusterRole")
_PLURALS = {
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


def render(namespace: str, *values: str) -> list[Manifest]:
    """Give the service accounts, roles and bindings of a release called modelyard in a namespace."""
    settings = [argument for value in values for argument in ("--set", value)]
    command = [
        str(toolchain.binary("helm")),
        "template",
        "modelyard",
        str(CHART),
        f"--namespace={namespace}",
        *settings,
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [each for each in yaml.safe_load_all(text) if each and each["kind"] in _PLURALS]


async def install(backend: cluster_apiserver.ApiBackend, manifests: Iterable[Manifest]) -> None:
    """Create what was rendered, in place of what an earlier test has left."""
    for manifest in manifests:
        namespace = manifest["metadata"].get("namespace", "")
        path = f"{_PLURALS[manifest['kind']].format(namespace=namespace)}/{manifest['metadata']['name']}"
        await backend.request("DELETE", path)
        await backend.must(
            "PATCH", f"{path}?fieldManager=helm&force=true", manifest, "application/apply-patch+yaml"
        )


async def token(backend: cluster_apiserver.ApiBackend, namespace: str, account: str = OPERATOR) -> str:
    """Give a token of a service account."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    answer = await backend.must("POST", path, {"spec": {"expirationSeconds": 3600}})
    made: str = answer["status"]["token"]
    return made


async def installed(backend: cluster_apiserver.ApiBackend, namespace: str, *values: str) -> list[Manifest]:
    """Render the chart's rights and create them; give them."""
    manifests = await asyncio.to_thread(render, namespace, *values)
    await install(backend, manifests)
    return manifests


def of_the_operator(manifests: Sequence[Manifest]) -> set[Right]:
    """Give what the operator's service account may do, wherever that is bound."""
    subjects = [each for each in manifests if each["kind"].endswith("Binding")]
    names = {(each["roleRef"]["kind"], each["roleRef"]["name"]) for each in subjects}
    rules = [
        rule
        for each in manifests
        if each["kind"] in _ROLES and (each["kind"], each["metadata"]["name"]) in names
        for rule in each["rules"]
    ]
    return spread(rules)


def spread(rules: Iterable[dict[str, Any]]) -> set[Right]:
    """Give the rules one right each."""
    return {
        (verb, named(group, resource))
        for rule in rules
        for group in rule.get("apiGroups", ())
        for resource in rule.get("resources", ())
        for verb in rule["verbs"]
    }


def named(group: str, resource: str) -> str:
    """Give a resource's name with its group, as rights and audit events share it."""
    return f"{group or 'core'}/{resource}"
