"""Plays Kubernetes' own controllers and kubelets around one ModelDeployment: every state is reached exactly.

The base of `cluster_world.World`: what it does looks the same in memory and on an API server without controllers.
"""

import itertools
from typing import Any, Protocol

from modelyard_operator import naming
from modelyard_operator.objects import Manifest


class Backend(Protocol):
    """The API as tests use it."""

    async def create(self, plural: str, manifest: Manifest, manager: str = "kubectl") -> Manifest: ...

    async def read(self, plural: str, namespace: str, name: str) -> Manifest | None: ...

    async def patch(
        self, plural: str, namespace: str, name: str, patch: dict[str, Any], subresource: str = ""
    ) -> Manifest: ...

    async def remove(self, plural: str, namespace: str, name: str) -> None: ...

    async def listed(self, plural: str, namespace: str) -> list[Manifest]: ...


class Controllers:
    """The Deployment controller, the autoscaler and the kubelet."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        self.backend = backend
        self.namespace = namespace
        self._pods = itertools.count()

    async def deployment(self) -> Manifest:
        found = await self.backend.read("deployments", self.namespace, "iris")
        assert found is not None, "there is no Deployment"
        return found

    async def roll_out(
        self,
        pods: dict[str, tuple[int, int]] | None = None,
        *,
        complete: bool = True,
        late: bool = False,
        said_of: str = "",
    ) -> None:
        """Play the Deployment controller: revision -> (ready, replicas); by default all that is wanted is ready.

        `said_of` is the ReplicaSet that its message speaks of.
        """
        deployment = await self.deployment()
        wanted = deployment["spec"]["template"]["metadata"]["labels"][naming.LABEL_REVISION]
        replicas = deployment["spec"]["replicas"]
        pods = {wanted: (replicas, replicas)} if pods is None else pods
        for replica_set in await self.backend.listed("replicasets", self.namespace):
            if replica_set["metadata"]["labels"][naming.LABEL_REVISION] not in pods:
                await self.backend.remove("replicasets", self.namespace, replica_set["metadata"]["name"])
        for revision, (ready, count) in pods.items():
            await self._replica_set(deployment, revision, ready, count)
        reason = (
            "ProgressDeadlineExceeded"
            if late
            else "NewReplicaSetAvailable"
            if complete
            else "ReplicaSetUpdated"
        )
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": sum(count for _ready, count in pods.values()),
            "conditions": [
                {
                    "type": "Progressing",
                    "status": "False" if late else "True",
                    "reason": reason,
                    "message": f'ReplicaSet "{said_of or wanted}" has something to say.',
                    "lastUpdateTime": "2026-01-01T00:00:00Z",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ],
        }
        await self.backend.patch("deployments", self.namespace, "iris", {"status": status}, "status")

    async def _replica_set(self, deployment: Manifest, revision: str, ready: int, count: int) -> None:
        if await self.backend.read("replicasets", self.namespace, revision) is None:
            labels = naming.child_labels("iris") | {naming.LABEL_REVISION: revision}
            template = deployment["spec"]["template"]
            body = {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": revision,
                    "namespace": self.namespace,
                    "labels": labels,
                    "ownerReferences": [
                        {
                            "apiVersion": "apps/v1",
                            "kind": "Deployment",
                            "name": "iris",
                            "uid": deployment["metadata"]["uid"],
                            "controller": True,
                        }
                    ],
                },
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
                },
            }
            await self.backend.create("replicasets", body)
        status = {"replicas": count, "readyReplicas": ready}
        await self.backend.patch("replicasets", self.namespace, revision, {"status": status}, "status")

    async def scale_as_autoscaler(self, replicas: int) -> None:
        """Play the HorizontalPodAutoscaler."""
        await self.backend.patch("deployments", self.namespace, "iris", {"spec": {"replicas": replicas}})

    async def pod(self, revision: str, status: dict[str, Any], name: str = "") -> str:
        """Play the kubelet: a pod of a revision with the status given; give its name."""
        deployment = await self.deployment()
        template = deployment["spec"]["template"]
        name = name or f"{revision}-{next(self._pods)}"
        labels = template["metadata"]["labels"] | {naming.LABEL_REVISION: revision}
        spec = {**template["spec"], "serviceAccountName": "default"}
        metadata: dict[str, Any] = {"name": name, "namespace": self.namespace, "labels": labels}
        replica_set = await self.backend.read("replicasets", self.namespace, revision)
        if replica_set is not None:
            owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": revision, "controller": True}
            metadata["ownerReferences"] = [{**owner, "uid": replica_set["metadata"]["uid"]}]
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        await self.backend.create("pods", body)
        await self.backend.patch("pods", self.namespace, name, {"status": status}, "status")
        return name

    async def remove_pods(self) -> None:
        """Play the end of all pods that were played."""
        for pod in await self.backend.listed("pods", self.namespace):
            await self.backend.remove("pods", self.namespace, pod["metadata"]["name"])
