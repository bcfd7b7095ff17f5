"""What the fast API refuses: writes that were decided on something else than what is there, and invalid objects.

Used by `api`, for every apply. The rules are those of a real API server that the operator relies on.
"""

from modelyard_operator import errors, plan
from modelyard_operator.objects import Manifest
from tests.support import cluster_memory


def check(action: plan.Apply, live: Manifest | None) -> None:
    """Refuse an apply that was decided on something else than what is there."""
    cluster_memory._validate(action.manifest)
    if not action.uid and live is not None:
        raise errors.ClusterError("apply", 409, "exists already")
    if action.uid and (live is None or live["metadata"]["uid"] != action.uid):
        raise errors.ClusterError("apply", 409, "uid mismatch")
    if action.version and live is not None and live["metadata"]["resourceVersion"] != action.version:
        raise errors.ClusterError("apply", 409, "the object has been modified")
    if live is not None and "data" in action.manifest and action.manifest["data"] != live.get("data"):
        raise errors.ClusterError("apply", 422, "data: field is immutable")


def check_whole(manifest: Manifest) -> None:
    """Refuse what only the whole object shows to be wrong."""
    strategy = manifest.get("spec", {}).get("strategy", {}) if manifest["kind"] == "Deployment" else {}
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        raise errors.ClusterError("apply", 422, "spec.strategy.rollingUpdate: Forbidden with type Recreate")
