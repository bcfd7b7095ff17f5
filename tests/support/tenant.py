"""A tenant who may edit ModelDeployments in one namespace, by the chart's own role, and nothing else anywhere.

`Tenant` makes his calls; `Deputy` is the operator that he tries to use, with the chart's rights; `gains` looks at
everything the operator has made and names what no tenant may get.
"""

from collections.abc import Iterator
from typing import Any

from modelyard_operator import naming
from modelyard_operator.objects import Manifest
from tests.support import cluster_apiserver, cluster_world

ACCOUNT = "tenant"
EDIT_ROLE = "modelyard-operator-edit"
_ENV_PREFIX = "MODELYARD_"
_POD_FIELDS = {
    "automountServiceAccountToken",
    "containers",
    "dnsPolicy",
    "enableServiceLinks",
    "initContainers",
    "nodeSelector",
    "restartPolicy",
    "schedulerName",
    "securityContext",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
}
_SERVICE_FIELDS = {
    "allocateLoadBalancerNodePorts",
    "clusterIP",
    "clusterIPs",
    "externalTrafficPolicy",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "ports",
    "selector",
    "sessionAffinity",
    "type",
}


class Tenant:
    """The calls of one who holds nothing but the chart's edit role in one namespace."""

    def __init__(self, backend: cluster_apiserver.ApiBackend, namespace: str) -> None:
        self._backend = backend
        self._user = f"system:serviceaccount:{namespace}:{ACCOUNT}"
        self.namespace = namespace

    async def call(
        self, verb: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, str]:
        """Make a call and give the status and the message."""
        status, answer = await self._backend.request(verb, path, body, content_type, self._user)
        return status, str(answer.get("message", ""))

    async def create(self, resource: Manifest, namespace: str = "") -> tuple[int, str]:
        """Create a ModelDeployment; fields that the schema doesn't know are not even warned about."""
        where = namespace or self.namespace
        path = f"/apis/{naming.API_VERSION}/namespaces/{where}/{naming.PLURAL}?fieldValidation=Ignore"
        return await self.call("POST", path, resource)


async def settle_in(backend: cluster_apiserver.ApiBackend, namespace: str) -> Tenant:
    """Make the tenant's namespace and account, and give him the chart's edit role there."""
    await backend.make_namespace(namespace)
    await backend.must(
        "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": ACCOUNT}}
    )
    binding = {
        "metadata": {"name": ACCOUNT},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": EDIT_ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
    }
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    await backend.must("POST", path, binding)
    settled = Tenant(backend, namespace)

    async def has_his_rights() -> bool:
        path = f"/apis/{naming.API_VERSION}/namespaces/{namespace}/{naming.PLURAL}"
        return (await settled.call("GET", path))[0] == 200

    await cluster_world.wait_until(has_his_rights, "the API server knows the tenant's rights")
    return settled


def gains(children: list[Manifest]) -> list[str]:
    """Give, in words, everything among the operator's children that a tenant may not get."""
    found: list[str] = []
    for child in children:
        spec = child.get("spec", {})
        if "template" in spec:
            found += _of_template(spec["template"])
        if "ports" in spec:
            found += [f"the Service has {field}" for field in spec.keys() - _SERVICE_FIELDS]
            found += _of_keys("the Service's annotation", child["metadata"].get("annotations", {}))
            found += _of_selector(child)
        if "scaleTargetRef" in spec and spec["scaleTargetRef"]["name"] != child["metadata"]["name"]:
            found.append("the autoscaler scales something else")
    return found


def _of_selector(service: Manifest) -> list[str]:
    name = service["metadata"]["name"]
    if service["spec"].get("selector") != naming.selector_labels(name):
        return ["the Service selects other pods"]
    return []


def _of_template(template: Manifest) -> Iterator[str]:
    spec, metadata = template["spec"], template["metadata"]
    yield from (f"the pod has {field}" for field in spec.keys() - _POD_FIELDS)
    if spec["automountServiceAccountToken"] is not False or spec["enableServiceLinks"] is not False:
        yield "the pod gets a token or other services' addresses"
    yield from (
        f"the volume {volume}"
        for volume in spec["volumes"]
        if volume.keys() != {"name", "emptyDir"} and volume["name"] != naming.CREDENTIALS_VOLUME
    )
    for toleration in spec.get("tolerations", ()):
        if not toleration.get("key") or "node-role.kubernetes.io" in toleration["key"]:
            yield f"the pod tolerates {toleration}"
    yield from _of_keys("the pod's annotation", metadata.get("annotations", {}))
    ours = (*naming.child_labels(""), naming.LABEL_REVISION)
    yield from _of_keys("the pod's label", {key: "" for key in metadata["labels"] if key not in ours})
    for container in (*spec["initContainers"], *spec["containers"]):
        yield from _of_container(container)
    security = spec["securityContext"]
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield f"the pod has {security}"


def _of_container(container: dict[str, Any]) -> Iterator[str]:
    name = container["name"]
    if container["image"] not in {each.image for each in cluster_world.SETTINGS.runtime_classes.values()}:
        yield f"{name} runs {container['image']}"
    if "command" in container or container["args"] != [name]:
        yield f"{name} runs another command"
    yield from (
        f"{name} has {each['name']}" for each in container["env"] if not each["name"].startswith(_ENV_PREFIX)
    )
    yield from (
        f"{name} takes {each}" for each in container["env"] if "valueFrom" in each and not _is_lock(each)
    )
    yield from (
        f"{name} expands {each['value']}"
        for each in container["env"]
        if "$(" in each.get("value", "").replace("$$", "")
    )
    yield from (f"{name} takes {source}" for source in container.get("envFrom", ()))
    mounted = {each["name"] for each in container["volumeMounts"]}
    if naming.CREDENTIALS_VOLUME in mounted and name != naming.FETCH:
        yield f"{name} sees the credentials"
    security = container["securityContext"]
    wanted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    if security != wanted:
        yield f"{name} has {security}"


def _is_lock(variable: dict[str, Any]) -> bool:
    """Say whether a variable is the digest that a revision is locked to, out of the operator's own ConfigMap."""
    reference = variable["valueFrom"].get("configMapKeyRef", {})
    return variable["name"] == naming.ENV_LOCKED_DIGEST and str(reference.get("name")).endswith("-lock")


def _of_keys(what: str, keys: dict[str, str]) -> list[str]:
    allowed = cluster_world.SETTINGS.allowed_metadata_prefixes
    kubernetes = "deployment.kubernetes.io/"
    return [f"{what} {key}" for key in keys if not key.startswith((*allowed, kubernetes))]
