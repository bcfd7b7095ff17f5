"""A real API server for the integration tests: the hands of users and of Kubernetes' own controllers over HTTP.

`ApiBackend` implements `cluster_controllers.Backend` with the administrator's rights.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from modelyard_operator import cluster, connection, crd, errors, metrics, naming
from modelyard_operator.objects import Manifest
from tests.support import cluster_world

GROUPS = {
    naming.PLURAL: f"/apis/{naming.API_VERSION}",
    "controllerrevisions": "/apis/apps/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "poddisruptionbudgets": "/apis/policy/v1",
    "configmaps": "/api/v1",
    "services": "/api/v1",
    "pods": "/api/v1",
}


class ApiBackend:
    """One API server, as an administrator."""

    def __init__(self, link: connection.Connection) -> None:
        self._link = link

    async def request(
        self,
        verb: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        as_user: str = "",
    ) -> tuple[int, dict[str, Any]]:
        """Make one call, with the rights of another user when one is given; give the status and the decoded answer."""
        headers = {"Content-Type": content_type, **({"Impersonate-User": as_user} if as_user else {})}
        data = None if body is None else json.dumps(body)
        async with self._link.session.request(
            verb, self._link.server + path, data=data, headers=headers
        ) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return answer.status, json.loads(text) if is_json else {"message": text}

    async def must(
        self,
        verb: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        as_user: str = "",
    ) -> Manifest:
        """Make one call that has to succeed."""
        status, answer = await self.request(verb, path, body, content_type, as_user)
        if status >= 300:
            raise errors.ClusterError(f"{verb} {path}", status, answer.get("message", ""))
        return answer

    async def create(self, plural: str, manifest: Manifest, manager: str = "kubectl") -> Manifest:
        return await self.must(
            "POST", f"{_path(plural, manifest['metadata']['namespace'])}?fieldManager={manager}", manifest
        )

    async def read(self, plural: str, namespace: str, name: str) -> Manifest | None:
        status, answer = await self.request("GET", _path(plural, namespace, name))
        return None if status == 404 else answer

    async def patch(
        self, plural: str, namespace: str, name: str, patch: dict[str, Any], subresource: str = ""
    ) -> Manifest:
        path = _path(plural, namespace, name) + (f"/{subresource}" if subresource else "")
        return await self.must(
            "PATCH", f"{path}?fieldManager=kubectl-edit", patch, "application/merge-patch+json"
        )

    async def remove(self, plural: str, namespace: str, name: str) -> None:
        await self.must("DELETE", f"{_path(plural, namespace, name)}?propagationPolicy=Background")

    async def listed(self, plural: str, namespace: str) -> list[Manifest]:
        items: list[Manifest] = (await self.must("GET", _path(plural, namespace)))["items"] or []
        return items

    async def make_namespace(self, name: str) -> None:
        """Make a namespace that admits only restricted pods, with the service account they are admitted with."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        await self.must("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        account = {"metadata": {"name": "default"}}
        await self.must("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account)

    async def install_crd(self) -> None:
        """Install the CRD and wait until it is served."""
        manifest = crd.manifest()
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{manifest['metadata']['name']}"
        query = "?fieldManager=test&force=true"
        await self.must("PATCH", path + query, manifest, "application/apply-patch+yaml")
        await cluster_world.wait_until(lambda: self._is_served(path), "the CRD is established")

    async def _is_served(self, path: str) -> bool:
        stated = (await self.must("GET", path)).get("status", {}).get("conditions") or []
        established = any(each["type"] == "Established" and each["status"] == "True" for each in stated)
        status, _answer = await self.request("GET", f"/apis/{naming.API_VERSION}/{naming.PLURAL}")
        return established and status == 200


@asynccontextmanager
async def connect(kubeconfig: Path) -> AsyncIterator[tuple[ApiBackend, cluster.ApiCluster]]:
    """Give the hands of the administrator and the operator's own cluster over one connection."""
    link = await connection.open_connection({**os.environ, "KUBECONFIG": str(kubeconfig)})
    try:
        yield ApiBackend(link), cluster.ApiCluster(link, metrics.Metrics())
    finally:
        await link.close()


def _path(plural: str, namespace: str, name: str = "") -> str:
    return f"{GROUPS[plural]}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")
