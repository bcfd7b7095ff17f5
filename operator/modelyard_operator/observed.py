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
        replica_sets: the ReplicaSets with our selector's labels.
        pods: the pods with our selector's labels; only read while somebody needs to know why they aren't ready.
    """

    children: Mapping[Kind, Manifest] = {}
    revisions: tuple[Manifest, ...] = ()
    replica_sets: tuple[Manifest, ...] = ()
    pods: tuple[Manifest, ...] = ()

    @property
    def deployment(self) -> Manifest | None:
        """The Deployment, if there is one of our name."""
        return self.children.get(Kind.DEPLOYMENT)

    def find(self, kind: Kind, name: str) -> Manifest | None:
        """Give one child by its name, None when there is none."""
        if kind is Kind.CONTROLLER_REVISION:
            named = (each for each in self.revisions if each["metadata"]["name"] == name)
            return next(named, None)
        return self.children.get(kind)

    def with_applied(self, live: Manifest) -> "Observed":
        """Give the same with one object replaced by what the API server made of our apply."""
        kind = objects.kind_of(live)
        if kind is not Kind.CONTROLLER_REVISION:
            return msgspec.structs.replace(self, children={**self.children, kind: live})
        name = live["metadata"]["name"]
        others = tuple(revision for revision in self.revisions if revision["metadata"]["name"] != name)
        return msgspec.structs.replace(self, revisions=(*others, live))

    def without(self, kind: Kind, name: str) -> "Observed":
        """Give the same with one object gone."""
        if kind is not Kind.CONTROLLER_REVISION:
            rest = {other: manifest for other, manifest in self.children.items() if other is not kind}
            return msgspec.structs.replace(self, children=rest)
        kept = tuple(revision for revision in self.revisions if revision["metadata"]["name"] != name)
        return msgspec.structs.replace(self, revisions=kept)
