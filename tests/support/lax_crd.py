"""A CRD that lets everything in, as an older or newer version of ours might, and specs that only it lets in.

`install` puts it in the place of ours, `restore` puts ours back. What was stored meanwhile stays stored.
"""

import copy
from typing import Any

from modelyard_operator import api, crd, errors, naming
from tests.support import (
    cluster_apiserver,
    cluster_world,
    crd_admission,
    crd_effects,
    crd_fields,
    crd_mutations,
)

_good = crd_fields.small()
_MISSING = object()

_BY_HAND: dict[str, Any] = {
    "no spec at all": _MISSING,
    "a spec of nothing": {},
    "a model that is text": {"model": "iris"},
    "a model that is a list": {"model": [_good["model"]]},
    "a model of nothing": {"model": {}},
    "an address that is an object": {"model": {"uri": {"bucket": "b"}}},
    "an address that is a list": {"model": {"uri": ["s3://b/k"]}},
    "an address of an old scheme": {"model": {"uri": "ftp://host/x"}},
    "an address with a password": {"model": {"uri": "https://me:hunter2@host/x"}},
    "an address of a megabyte": {"model": {"uri": "s3://b/" + "x" * 10**6}},
    "replicas as text": {**_good, "replicas": "2"},
    "replicas as a fraction": {**_good, "replicas": 1.5},
    "replicas beyond a machine's numbers": {**_good, "replicas": 1e30},
    "both owners of the number": {**_good, "replicas": 1, "autoscaling": {"maxReplicas": 2}},
    "an autoscaler from nothing": {**_good, "autoscaling": {"minReplicas": 0, "maxReplicas": 1}},
    "labels that are a list": {**_good, "pod": {"labels": ["a=b"]}},
    "a label that is a number": {**_good, "pod": {"labels": {"team.example.com/a": 1}}},
    "a nested label": {**_good, "pod": {"labels": {"team.example.com/a": {"b": "c"}}}},
    "a pod that is true": {**_good, "pod": True},
    "resources of an old form": {**_good, "resources": {"cpu": "1"}, "replicas": "1"},
    "quantities that are objects": {**_good, "resources": {"limits": {"cpu": {"value": 1}}}},
    "deep nesting": {**_good, "pod": {"tolerations": [[[[[[[[{}]]]]]]]]}},
}
_EVERY, _MOST = 7, 60  # of the mutations: spread over all fields


def _refused() -> dict[str, Any]:
    """Give some of the mutations that the operator's own reading refuses."""
    metadata = {"namespace": "default", "name": "iris", "uid": "u", "generation": 1}
    found: dict[str, Any] = {}
    for mutation in crd_mutations.mutations()[::_EVERY]:
        stored = crd_effects.without_nulls(mutation.spec)
        try:
            api.parse({"metadata": metadata, "spec": stored})
        except errors.Stalled:
            found[mutation.sentence] = stored
    return dict(list(found.items())[:_MOST])


SPECS: dict[str, Any] = {**_BY_HAND, **_refused()}


async def install(backend: cluster_apiserver.ApiBackend) -> None:
    """Put the lax CRD in the place of whichever is there, and wait until it lets everything in."""
    await backend.install_crd()
    manifest = copy.deepcopy(crd.manifest())
    anything = {"x-kubernetes-preserve-unknown-fields": True}
    manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {
        "type": "object",
        "properties": {"spec": anything, "status": {"type": "object", **anything}},
    }
    # With it the API server itself would look at spec.replicas.
    del manifest["spec"]["versions"][0]["subresources"]["scale"]
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{manifest['metadata']['name']}"
    query = "?fieldManager=test&force=true"
    await backend.must("PATCH", path + query, manifest, "application/apply-patch+yaml")

    async def is_lax() -> bool:
        return (await crd_admission.ask(backend, {"surprise": True})).status == 201

    await cluster_world.wait_until(is_lax, "the lax CRD is in force")


async def restore(backend: cluster_apiserver.ApiBackend) -> None:
    """Put our CRD back and wait until it refuses again."""
    await backend.install_crd()

    async def is_strict() -> bool:
        return (await crd_admission.ask(backend, {"surprise": True})).is_refusal

    await cluster_world.wait_until(is_strict, "our CRD is in force")


async def store(backend: cluster_apiserver.ApiBackend, namespace: str, spec: Any, name: str = "iris") -> None:
    """Create a resource with a spec, or with none at all."""
    body = crd_admission.resource(namespace, spec, name)
    if spec is _MISSING:
        del body["spec"]
    await backend.create(naming.PLURAL, body)


async def visit(world: cluster_world.World, name: str = "iris") -> Exception | None:
    """Let the operator visit a resource, and give how that ended; unlike the world's, on any name and status."""
    try:
        await world.reconciler.reconcile((world.namespace, name))
    except (errors.Stalled, errors.Waiting, errors.ClusterError) as outcome:
        return outcome
    return None


async def can_be_told(backend: cluster_apiserver.ApiBackend, namespace: str, name: str = "iris") -> bool:
    """Say whether the API server takes any status of a resource; the type of a spec can keep it from all writes."""
    path = f"/apis/{naming.API_VERSION}/namespaces/{namespace}/{naming.PLURAL}/{name}/status?dryRun=All"
    status, _answer = await backend.request(
        "PATCH", path, {"status": {"available": "0/1"}}, "application/merge-patch+json"
    )
    return status == 200
