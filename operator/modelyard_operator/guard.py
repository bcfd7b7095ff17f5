"""Has the pods of a revision serve what it is locked to, and nothing else (docs/adr/0014).

The lock is put where the containers of later pods read it: they refuse other bytes themselves. A pod that had fetched
others before there was a lock is stopped, and its successor refuses. Called by `decision`. Pure.
"""

from collections.abc import Iterator, Sequence

import msgspec

from modelyard_operator import adoption, api, errors, fetched, locks, naming, objects, plan
from modelyard_operator.desired import lock as config_maps
from modelyard_operator.fetched import Fetched
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed


class Measures(msgspec.Struct, frozen=True):
    """What has to be done about the locks of a ModelDeployment.

    Attributes:
        actions: the writes that are needed.
        trouble: why a lock can't be where the pods read it; it keeps nothing else from being done.
    """

    actions: tuple[plan.Action, ...] = ()
    trouble: errors.Stalled | None = None


def measures(
    identity: api.Identity,
    seen: Observed,
    ours: Observed,
    running: Sequence[str],
    expired: Sequence[Manifest],
) -> Measures:
    """Give what has to be done; `running` are the revisions that the Deployment is to run or that are wanted."""
    actions: list[plan.Action] = []
    trouble: errors.Stalled | None = None
    for stored in ours.revisions:
        is_kept = stored not in expired and objects.is_owned_by(stored, identity.uid)
        lock = locks.of(stored, ours) if is_kept else None
        if lock is None:
            continue
        name = objects.name(stored)
        live = seen.find(Kind.CONFIG_MAP, naming.lock_name(name))
        there = _read(name, live, lock)
        if live is None or there is not None:
            # What a lock holds can't be changed, so it is left as it is there, also where a mark has lost a format.
            needed = plan.converge_revision(config_maps.build(identity, stored, there or lock), live)
            actions.extend(needed or _stops(name, lock, ours))
        elif name in running and "deletionTimestamp" not in live["metadata"]:
            trouble = _taken(live)
    return Measures(tuple(actions), trouble)


def _stops(revision: str, lock: Fetched, ours: Observed) -> Iterator[plan.Action]:
    """Give the pods that have fetched other bytes: only once the lock is where their successors read it."""
    for pod in locks.pods_of(revision, ours):
        told = fetched.of_pod(pod)
        if told is not None and told.digest != lock.digest:
            metadata = pod["metadata"]
            yield plan.StopPod(metadata["namespace"], metadata["name"], metadata["uid"])


def _read(revision: str, live: Manifest | None, lock: Fetched) -> Fetched | None:
    """Give what the ConfigMap of a lock holds, None when it isn't ours: what it holds never changes."""
    if live is None or "deletionTimestamp" in live["metadata"] or not adoption.is_lock_of(revision, live):
        return None
    told = config_maps.read(live)
    return told if told is not None and told.digest == lock.digest else None


def _taken(live: Manifest) -> errors.Stalled:
    return errors.Stalled(
        "NameTaken",
        f"{objects.describe(live)} exists already and is not the lock that the pods of this revision are to read their"
        " digest from. It is left as it is. Delete it, and it is made anew.",
    )
