"""A small world around the reconciler, the same in memory and on a real API server.

`Backend` is what a world needs: the hands of users and of Kubernetes' controllers. `World` puts words on it that
scenarios are told in. There are no controllers and no kubelets in it: `World.roll_out` plays the Deployment controller
and `World.pod` the kubelet, so that every state can be reached at once and exactly.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from modelyard_operator import config, errors, naming, reconciler, store, turnstile
from modelyard_operator.objects import Kind, Manifest
from tests.support import cluster_truth

SETTINGS = config.OperatorConfig(
    runtime_classes={"default": config.RuntimeClass(image="modelyard/runtime:test")},
    allowed_metadata_prefixes=("team.example.com/",),
)
MODEL = {"uri": "s3://models/iris/model.joblib"}


class Backend(Protocol):
    """The API as tests use it."""

    async def create(self, plural: str, manifest: Manifest, manager: str = "kubectl") -> Manifest: ...

    async def read(self, plural: str, namespace: str, name: str) -> Manifest | None: ...

    async def patch(
        self, plural: str, namespace: str, name: str, patch: dict[str, Any], subresource: str = ""
    ) -> Manifest: ...

    async def remove(self, plural: str, namespace: str, name: str) -> None: ...

    async def listed(self, plural: str, namespace: str) -> list[Manifest]: ...


class World:
    """One namespace with one ModelDeployment called iris."""

    def __init__(
        self,
        backend: Backend,
        cluster: reconciler.Cluster,
        namespace: str = "default",
        settings: config.OperatorConfig = SETTINGS,
        memory: store.Store | None = None,
    ) -> None:
        self.backend = backend
        self.cluster = cluster
        self.namespace = namespace
        self.memory = memory
        self._clock = itertools.count()
        self._pods = itertools.count()
        self.with_settings(settings)

    def with_settings(self, settings: config.OperatorConfig) -> None:
        """Go on with an operator of another configuration, as after an upgrade."""
        self.settings = settings
        turns = turnstile.Turnstile(lambda: [(self.namespace, "iris")], lambda _key: None)
        self.reconciler = reconciler.Reconciler(self.cluster, settings, self._now, self.memory, turns=turns)

    def _now(self) -> str:
        return f"2026-02-01T{next(self._clock) // 60:02d}:{next(self._clock) % 60:02d}:00Z"

    # Users

    async def create(self, name: str = "iris", **spec: Any) -> None:
        body = {
            "apiVersion": naming.API_VERSION,
            "kind": naming.KIND,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"model": MODEL, **spec},
        }
        await self.backend.create(naming.PLURAL, body)

    async def change(self, **spec: Any) -> None:
        await self.backend.patch(naming.PLURAL, self.namespace, "iris", {"spec": spec})

    async def scale(self, replicas: int) -> None:
        """Play kubectl scale, or KEDA: both write the scale subresource."""
        patch = {"spec": {"replicas": replicas}}
        await self.backend.patch(naming.PLURAL, self.namespace, "iris", patch, "scale")

    async def edit(self, kind: Kind, patch: dict[str, Any]) -> None:
        await self.backend.patch(kind.plural, self.namespace, "iris", patch)

    async def remove(self, kind: Kind) -> None:
        await self.backend.remove(kind.plural, self.namespace, "iris")

    async def orphan(self) -> None:
        """Play kubectl delete --cascade=orphan with the garbage collector's part in it."""
        await self.backend.remove(naming.PLURAL, self.namespace, "iris")
        for kind in Kind:
            for child in await self.backend.listed(kind.plural, self.namespace):
                patch = {"metadata": {"ownerReferences": None}}
                await self.backend.patch(kind.plural, self.namespace, child["metadata"]["name"], patch)

    # The operator

    async def visit(self) -> Exception | None:
        """Let the operator visit once, with a memory that is up to date if it has one; give how it ended."""
        if self.memory is not None:
            await self.remember(self.memory)
        outcome: Exception | None = None
        try:
            await self.reconciler.reconcile((self.namespace, "iris"))
        except (errors.Stalled, errors.Waiting, errors.ClusterError) as raised:
            outcome = raised
        resource = await self.backend.read(naming.PLURAL, self.namespace, "iris")
        if resource is not None:
            assert cluster_truth.contradictions(resource) == []
        return outcome

    async def remember(self, memory: store.Store) -> None:
        """Play the watches: bring a memory up to date."""
        for plural in (naming.PLURAL, *store.CHILDREN):
            keys = []
            for manifest in await self.backend.listed(plural, self.namespace):
                labels = manifest["metadata"].get("labels") or {}
                if plural == naming.PLURAL or labels.get(naming.LABEL_MANAGED_BY) == naming.APP:
                    memory.put(plural, msgspec.json.encode(manifest))
                    keys.append((self.namespace, manifest["metadata"]["name"]))
            memory.keep_only(plural, self.namespace, keys, 2**62)

    async def converge(self) -> Exception | None:
        """Let the operator visit until nothing changes any more; give how the last visit ended."""
        for _ in range(6):
            before = await self.versions()
            outcome = await self.visit()
            if await self.versions() == before:
                return outcome
        raise AssertionError("the operator does not come to rest")

    # Kubernetes' own controllers

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

    async def pod(self, revision: str, status: dict[str, Any]) -> None:
        """Play the kubelet: a pod of a revision with the status given."""
        deployment = await self.deployment()
        template = deployment["spec"]["template"]
        name = f"{revision}-{next(self._pods)}"
        labels = template["metadata"]["labels"] | {naming.LABEL_REVISION: revision}
        spec = {**template["spec"], "serviceAccountName": "default"}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
            "spec": spec,
        }
        await self.backend.create("pods", body)
        await self.backend.patch("pods", self.namespace, name, {"status": status}, "status")

    async def remove_pods(self) -> None:
        """Play the end of all pods that were played."""
        for pod in await self.backend.listed("pods", self.namespace):
            await self.backend.remove("pods", self.namespace, pod["metadata"]["name"])

    # What is

    async def deployment(self) -> Manifest:
        found = await self.backend.read("deployments", self.namespace, "iris")
        assert found is not None, "there is no Deployment"
        return found

    async def child(self, kind: Kind) -> Manifest | None:
        return await self.backend.read(kind.plural, self.namespace, "iris")

    async def status(self) -> dict[str, Any]:
        found = await self.backend.read(naming.PLURAL, self.namespace, "iris")
        assert found is not None, "there is no ModelDeployment"
        status: dict[str, Any] = found.get("status", {})
        return status

    async def conditions(self) -> dict[str, str]:
        """Give type -> "status reason"."""
        stated = (await self.status()).get("conditions", [])
        return {each["type"]: f"{each['status']} {each['reason']}" for each in stated}

    async def message(self, kind: str) -> str:
        stated = (await self.status()).get("conditions", [])
        return next((str(each["message"]) for each in stated if each["type"] == kind), "")

    async def versions(self) -> dict[str, str]:
        """Give the resourceVersion of everything the operator writes."""
        found: dict[str, str] = {}
        for plural in (naming.PLURAL, *(kind.plural for kind in Kind)):
            for manifest in await self.backend.listed(plural, self.namespace):
                metadata = manifest["metadata"]
                found[f"{plural}/{metadata['name']}/{metadata['uid']}"] = metadata["resourceVersion"]
        return found

    async def child_versions(self) -> dict[str, str]:
        """Give the same without the resource itself, whose status may change."""
        return {
            key: version
            for key, version in (await self.versions()).items()
            if not key.startswith(naming.PLURAL)
        }

    async def image(self) -> str:
        """Give the image that the Deployment runs."""
        return str((await self.deployment())["spec"]["template"]["spec"]["containers"][0]["image"])

    async def template_revision(self) -> str:
        labels: dict[str, str] = (await self.deployment())["spec"]["template"]["metadata"]["labels"]
        return labels[naming.LABEL_REVISION]


def another_image(image: str) -> config.OperatorConfig:
    """Give the settings of a later operator with a newer runtime."""
    return msgspec.structs.replace(SETTINGS, runtime_classes={"default": config.RuntimeClass(image=image)})


def another_class(name: str, image: str) -> config.OperatorConfig:
    """Give the settings of an operator that offers one other runtime class."""
    return msgspec.structs.replace(SETTINGS, runtime_classes={name: config.RuntimeClass(image=image)})


def terminated(
    container: str, exit_code: int, message: str, reason: str = "Error", *, is_looping: bool = True
) -> dict[str, Any]:
    """Give the pod status in which a container has ended."""
    ended = {"exitCode": exit_code, "message": message, "reason": reason}
    state = {"waiting": {"reason": "CrashLoopBackOff"}} if is_looping else {"terminated": ended}
    entry = {
        "name": container,
        "ready": False,
        "restartCount": 1,
        "image": "modelyard/runtime:test",
        "imageID": "",
        "state": state,
        "lastState": {"terminated": ended},
    }
    field = "initContainerStatuses" if container == naming.FETCH else "containerStatuses"
    return {"phase": "Pending", field: [entry]}


def waiting(container: str, reason: str, message: str) -> dict[str, Any]:
    """Give the pod status in which a container can't start."""
    entry = {
        "name": container,
        "ready": False,
        "restartCount": 0,
        "image": "modelyard/runtime:test",
        "imageID": "",
        "state": {"waiting": {"reason": reason, "message": message}},
    }
    field = "initContainerStatuses" if container == naming.FETCH else "containerStatuses"
    return {"phase": "Pending", field: [entry]}


async def wait_until(look: Callable[[], Awaitable[bool]], what: str, timeout_seconds: float = 30) -> None:
    """Wait for something to become true.

    Raises:
        AssertionError: when it hasn't in time; it tells `what` was awaited.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            while not await look():  # noqa: ASYNC110 - what is awaited happens in another process
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_seconds} s: {what}") from None
