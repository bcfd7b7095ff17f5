"""A small world around the reconciler, the same in memory and on a real API server.

`cluster_controllers` has the hands of Kubernetes' controllers and what a backend is; `World` adds those of users and
the operator's, and words that scenarios are told in.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from modelyard_operator import config, errors, naming, reconciler, store, turnstile
from modelyard_operator.objects import Kind, Manifest
from tests.support import cluster_controllers, cluster_truth
from tests.support.cluster_controllers import Backend

SETTINGS = config.OperatorConfig(
    runtime_classes={
        "default": config.RuntimeClass(image="modelyard/runtime:test", formats=("sklearn", "onnx", "mlflow")),
        "keras": config.RuntimeClass(image="modelyard/runtime-keras:test", formats=("keras", "mlflow")),
        "own-code": config.RuntimeClass(
            image="modelyard/runtime-mlflow:test", formats=("custom",), allow_code=True
        ),
    },
    allowed_metadata_prefixes=("team.example.com/",),
)
MODEL = {"uri": "s3://models/iris/model.joblib"}


class World(cluster_controllers.Controllers):
    """One namespace with one ModelDeployment called iris."""

    def __init__(
        self,
        backend: Backend,
        cluster: reconciler.Cluster,
        namespace: str = "default",
        settings: config.OperatorConfig = SETTINGS,
        memory: store.Store | None = None,
    ) -> None:
        super().__init__(backend, namespace)
        self.cluster = cluster
        self.memory = memory
        self._clock = itertools.count()
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
        for kind in set(Kind) - {Kind.CONFIG_MAP}:  # a lock hangs on its ControllerRevision, which stays
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

    # What is

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


def fetched(digest: str, *, loaded: bool = True, artifact_format: str = "sklearn") -> dict[str, Any]:
    """Give the status of a pod that has fetched an artifact, and serves it if it has loaded it."""
    told = json.dumps({"digest": digest, "format": artifact_format, "bytes": 7})
    shared = {"restartCount": 0, "image": "modelyard/runtime:test", "imageID": "", "ready": True}
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "message": told}}
    up = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    serving = {**shared, "name": naming.SERVE, "state": up, "started": loaded, "ready": loaded}
    return {
        "phase": "Running",
        "initContainerStatuses": [{**shared, "name": naming.FETCH, "state": ended}],
        "containerStatuses": [serving],
    }


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
