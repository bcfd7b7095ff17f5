"""The cluster in memory that writes down what the operator asks of it: for the tests of what a visit costs."""

from modelyard_operator import naming, plan
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed
from tests.support import cluster_memory


class Counting(cluster_memory.MemoryCluster):
    """An API that writes down what the operator asks of it.

    Attributes:
        calls: what was asked, in words and in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def get_model_deployment(self, namespace: str, name: str) -> Manifest | None:
        self.calls.append("read the resource")
        return await self.read(naming.PLURAL, namespace, name)

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        self.calls.append(f"read {kind.kind}")
        return await self.read(kind.plural, namespace, name)

    async def observe(self, namespace: str, name: str) -> Observed:
        self.calls.append("read everything")
        before = list(self.calls)
        seen = await super().observe(namespace, name)
        self.calls = before
        return seen

    async def list_pods(self, namespace: str, name: str) -> tuple[Manifest, ...]:
        self.calls.append("list pods")
        return await super().list_pods(namespace, name)

    async def apply(self, action: plan.Apply) -> Manifest:
        self.calls.append(f"{'apply' if action.uid else 'create'} {action.manifest['kind']}")
        return await super().apply(action)

    async def stop_pod(self, action: plan.StopPod) -> None:
        self.calls.append("stop a pod")
        await super().stop_pod(action)

    async def delete(self, action: plan.Delete) -> None:
        self.calls.append(f"delete {action.kind.kind}")
        await super().delete(action)

    async def apply_status(self, manifest: Manifest) -> Manifest | None:
        self.calls.append("write the status")
        return await super().apply_status(manifest)
