"""`failures`: what a pod's status means, in the words a person needs."""

import json
from typing import Any

import pytest

from modelyard_operator import api, failures, naming
from modelyard_operator.objects import Kind
from modelyard_operator.observed import Observed
from tests.support import cluster_world

OLD, NEW = "iris-old", "iris-new"
RUNTIME = json.dumps({"reason": "DigestMismatch", "message": "Other bytes.", "stage": "Verifying"})


def pod(status: dict[str, Any], revision: str = NEW, name: str = "pod-a", **metadata: Any) -> dict[str, Any]:
    containers = [{"name": naming.SERVE, "resources": {"limits": {"memory": "512Mi"}}}]
    return {
        "metadata": {
            "name": name,
            "labels": {naming.LABEL_REVISION: revision},
            "creationTimestamp": "1",
            **metadata,
        },
        "spec": {"initContainers": [{"name": naming.FETCH}], "containers": containers},
        "status": status,
    }


def diagnose(
    *pods: dict[str, Any], replica_sets: tuple[dict[str, Any], ...] = (), rolling: bool = False
) -> api.Failure | None:
    strategy = {"type": "RollingUpdate" if rolling else "Recreate"}
    children = {Kind.DEPLOYMENT: {"spec": {"strategy": strategy}}}
    return failures.diagnose(NEW, Observed(children=children, pods=pods, replica_sets=replica_sets))


TABLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "the runtime's own words, from the container that fetches": (
        cluster_world.terminated(naming.FETCH, 65, RUNTIME), "DigestMismatch", "Other bytes.",
    ),
    "the same, before the kubelet has begun to wait": (
        cluster_world.terminated(naming.FETCH, 65, RUNTIME, is_looping=False), "DigestMismatch", "Other bytes.",
    ),
    "too much memory, with the limit and the remedy": (
        cluster_world.terminated(naming.SERVE, 137, "", "OOMKilled"), "OutOfMemory", "512Mi and was killed. Raise",
    ),
    "too much memory, even when the runtime had said something before": (
        cluster_world.terminated(naming.SERVE, 137, RUNTIME, "OOMKilled"), "OutOfMemory", "512Mi",
    ),
    "the tail of the log when the runtime said nothing": (
        cluster_world.terminated(naming.SERVE, 1, "Segmentation fault"), "CrashLoop", "Segmentation fault",
    ),
    "a reason that is not of the list is text like any other": (
        cluster_world.terminated(naming.SERVE, 1, '{"reason": "Ready", "message": "all is well"}'),
        "CrashLoop", "all is well",
    ),
    "a missing Secret, with the field": (
        cluster_world.waiting(naming.FETCH, "CreateContainerConfigError", 'secret "s3" not found'),
        "SecretMissing", "Secret s3 does not exist in this namespace. Create it, or correct spec.model.credentials",
    ),
    "an image that can't be pulled, with its name": (
        cluster_world.waiting(naming.FETCH, "ErrImagePull", "not found"), "ImagePullFailed", "modelyard/runtime:test",
    ),
    "no node, with the scheduler's words": (
        {"conditions": [{"type": "PodScheduled", "reason": "Unschedulable", "message": "0/3 nodes: cpu"}]},
        "Unschedulable", "0/3 nodes: cpu",
    ),
}  # fmt: skip


@pytest.mark.parametrize("sentence", TABLE)
def test_a_failure_is_told(sentence: str) -> None:
    status, reason, words = TABLE[sentence]
    found = diagnose(pod(status))
    assert found is not None
    assert (found.reason, found.pod) == (reason, "pod-a")
    assert words in found.message


def running(*, ready: bool, **more: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": naming.SERVE, "ready": ready, "state": {"running": {}}, **more}]}


CRASHED_ONCE = {"lastState": {"terminated": {"exitCode": 1, "message": "oops"}}, "restartCount": 1}
FINE: dict[str, dict[str, Any]] = {
    "a pod that has just been made": pod({}),
    "a container that loads": pod(running(ready=False)),
    "a container that is ready again after a crash": pod(running(ready=True, **CRASHED_ONCE)),
    "a single crash without a word, which is no loop": pod(running(ready=False, **CRASHED_ONCE)),
    "a fetch that went well": pod(
        {
            "initContainerStatuses": [
                {"name": naming.FETCH, "ready": False, "state": {"terminated": {"exitCode": 0}}}
            ]
        }
    ),
    "a container that waits for its turn": pod(cluster_world.waiting(naming.SERVE, "PodInitializing", "")),
    "a pod of another revision": pod(cluster_world.terminated(naming.FETCH, 65, RUNTIME), OLD),
    "a pod that is being deleted": pod(
        cluster_world.terminated(naming.FETCH, 65, RUNTIME), deletionTimestamp="1"
    ),
    "a pod that is over": pod(cluster_world.terminated(naming.FETCH, 65, RUNTIME) | {"phase": "Failed"}),
    "somebody's sidecar": pod(cluster_world.terminated("sidecar", 1, RUNTIME)),
}


@pytest.mark.parametrize("sentence", FINE)
def test_no_failure(sentence: str) -> None:
    assert diagnose(FINE[sentence]) is None


def test_a_container_that_crashed_with_a_word_and_runs_again_has_still_failed() -> None:
    last = {"lastState": {"terminated": {"exitCode": 70, "message": RUNTIME}}, "restartCount": 1}
    found = diagnose(pod(running(ready=False, **last)))
    assert found is not None
    assert found.reason == "DigestMismatch"


def test_of_several_pods_the_oldest_speaks() -> None:
    first = pod(cluster_world.waiting(naming.FETCH, "ErrImagePull", "x"), name="pod-z", creationTimestamp="1")
    second = pod(cluster_world.terminated(naming.FETCH, 65, RUNTIME), name="pod-a", creationTimestamp="2")
    for order in ((first, second), (second, first)):
        found = diagnose(*order)
        assert found is not None
        assert found.pod == "pod-z"


QUOTA = (
    'pods "iris-5-x" is forbidden: exceeded quota: compute, requested: requests.cpu=1,requests.memory=2Gi, used:'
    " requests.cpu=0,requests.memory=512Mi, limited: requests.cpu=500m,requests.memory=1Gi"
)


@pytest.mark.parametrize(
    ("message", "reason", "words"),
    [
        (QUOTA, "QuotaExceeded", "requests.memory asks for 2Gi, and 512Mi of 1Gi are in use"),
        (QUOTA, "QuotaExceeded", "Quota compute leaves no room"),
        (QUOTA, "QuotaExceeded", "spec.rollout.strategy: Recreate"),
        (
            'pods "x" is forbidden: violates PodSecurity',
            "PodRefused",
            "refuses the pod: violates PodSecurity",
        ),
    ],
)
def test_pods_that_could_not_even_be_made_are_told_from_the_replica_set(
    message: str, reason: str, words: str
) -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "message": message}
    replica_set = {
        "metadata": {"labels": {naming.LABEL_REVISION: NEW}},
        "status": {"conditions": [condition]},
    }
    found = diagnose(replica_sets=(replica_set,), rolling=True)
    assert found is not None
    assert found.reason == reason
    assert words in found.message
    assert "iris-5-x" not in found.message  # each attempt has another name
    assert failures.diagnose(OLD, Observed(replica_sets=(replica_set,))) is None


def test_a_long_message_is_cut() -> None:
    found = diagnose(pod(cluster_world.terminated(naming.SERVE, 1, "x" * 5000)))
    assert found is not None
    assert len(found.message) == failures.MESSAGE_LIMIT


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, "pod-a is being started"),
        (
            {"initContainerStatuses": [{"name": naming.FETCH, "state": {"running": {}}}]},
            "pod-a is fetching the artifact",
        ),
        (running(ready=False), "pod-a is loading the model"),
        (running(ready=True), ""),
    ],
)
def test_the_step_of_a_pod_on_its_way_is_told(status: dict[str, Any], words: str) -> None:
    assert failures.step(NEW, [pod(status)]) == words
