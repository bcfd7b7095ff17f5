"""What one reconcile saw in the cluster, as a frozen value: the only input of decisions besides the spec.

`cluster` fills it with live reads, `reconciler` replaces a child by what an apply returned, and `plan`, `revisions`
and `status` read it. Pure data.
"""

from collections.abc import Mapping

import msgspec

from modelyard_operator import objects
from modelyard_operator.objects import Kind, Manifest


class Observed(msgspec.Struct, frozen=True):
    """The objects around one ModelDeployment.

    Attributes:
        children: what is there under the names our children have, whoever owns it; absent kinds are left out.
        revisions: the ControllerRevisions with our selector's labels.
        locks: the ConfigMaps with our selector's labels.
        replica_sets: the ReplicaSets with our selector's labels.
        pods: the pods with our selector's labels.
    """

    children: Mapping[Kind, Manifest] = {}
    revisions: tuple[Manifest, ...] = ()
    locks: tuple[Manifest, ...] = ()
    replica_sets: tuple[Manifest, ...] = ()
    pods: tuple[Manifest, ...] = ()

    @property
    def deployment(self) -> Manifest | None:
        """The Deployment, if there is one of our name."""
        return self.children.get(Kind.DEPLOYMENT)

    def find(self, kind: Kind, name: str) -> Manifest | None:
        """Give one child by its name, None when there is none."""
        if kind.is_per_revision:
            named = (each for each in self._several(kind) if each["metadata"]["name"] == name)
            return next(named, None)
        return self.children.get(kind)

    def with_applied(self, live: Manifest) -> "Observed":
        """Give the same with one object replaced by what the API server made of our apply."""
        kind = objects.kind_of(live)
        if not kind.is_per_revision:
            return msgspec.structs.replace(self, children={**self.children, kind: live})
        others = self._all_but(kind, live["metadata"]["name"])
        return self._with_several(kind, (*others, live))

    def without(self, kind: Kind, name: str) -> "Observed":
        """Give the same with one object gone."""
        if not kind.is_per_revision:
            rest = {other: manifest for other, manifest in self.children.items() if other is not kind}
            return msgspec.structs.replace(self, children=rest)
        return self._with_several(kind, self._all_but(kind, name))

    def without_pod(self, uid: str) -> "Observed":
        """Give the same with one pod gone."""
        return msgspec.structs.replace(
            self, pods=tuple(pod for pod in self.pods if pod["metadata"]["uid"] != uid)
        )

    def _several(self, kind: Kind) -> tuple[Manifest, ...]:
        return self.revisions if kind is Kind.CONTROLLER_REVISION else self.locks

    def _all_but(self, kind: Kind, name: str) -> tuple[Manifest, ...]:
        return tuple(each for each in self._several(kind) if each["metadata"]["name"] != name)

    def _with_several(self, kind: Kind, found: tuple[Manifest, ...]) -> "Observed":
        if kind is Kind.CONTROLLER_REVISION:
            return msgspec.structs.replace(self, revisions=found)
        return msgspec.structs.replace(self, locks=found)
