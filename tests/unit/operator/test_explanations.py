"""What Kubernetes says about a pod, told with cause and remedy; the texts are those of a real kubelet and scheduler."""

import copy
from typing import Any

import pytest

from modelyard_operator import api, conditions, containers, explanations, failures, naming, scheduling
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed
from tests.support import cluster_world

OLD, NEW = "iris-old", "iris-new"
UNREACHABLE = (
    'Back-off pulling image "nowhere.invalid/x:1": ErrImagePull: failed to pull and unpack image "nowhere.invalid/x:1":'
    ' failed to resolve image: failed to do request: Head "https://nowhere.invalid/v2/x/manifests/1": dial tcp: lookup'
    " nowhere.invalid on 10.255.255.53:53: read udp 10.89.15.2:42468->10.255.255.53:53: i/o timeout"
)
DENIED = (
    'failed to pull and unpack image "r.example/x:1": failed to resolve reference "r.example/x:1": pull access denied,'
    " repository does not exist or may require authorization"
)


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [
        ("ImagePullBackOff", UNREACHABLE, "the registry can't be reached"),
        ("ErrImagePull", DENIED, "the registry refuses access"),
        ("ErrImagePull", "unexpected status: 401 Unauthorized", "the registry refuses access"),
        ("ErrImagePull", 'rpc error: code = NotFound desc = "r.example/x:1": not found', "there is no such image"),
        ("ErrImagePull", "manifest unknown", "there is no such image"),
        ("ErrImagePull", "toomanyrequests: slow down, access denied", "too many requests"),
        ("InvalidImageName", "couldn't parse image name", "has no valid name"),
        ("ErrImageNeverPull", "is not present", "is not on the node"),
        ("ErrImagePull", "something new", "can't be pulled: something new"),
        ("ImagePullBackOff", 'Back-off pulling image "r.example/x:1"', "r.example/x:1 can't be pulled."),
    ],
)  # fmt: skip
def test_an_image_that_cannot_be_pulled_has_its_cause(reason: str, message: str, words: str) -> None:
    assert words in explanations.image("r.example/x:1", reason, message)


def test_an_image_that_is_mounted_is_the_authors_to_correct() -> None:
    mounted = ("r.example/line:2",)
    for words, remedy in (("not found", "Correct spec.model.uri"), ("401 Unauthorized", "dockerconfigjson")):
        message = f'Back-off pulling image "r.example/line:2": ErrImagePull: failed to pull r.example/line:2: {words}'
        said = explanations.image("r.example/runtime:1", "ImagePullBackOff", message, mounted)
        assert said.startswith("The image r.example/line:2 can't be pulled")
        assert remedy in said
        assert "runtime class" not in said
    own = 'Back-off pulling image "r.example/runtime:1": ErrImagePull: not found'
    said = explanations.image("r.example/runtime:1", "ImagePullBackOff", own, mounted)
    assert "runtime class" in said
    waiting = {"name": "fetch", "image": "r.example/runtime:1", "state": {"waiting": {
        "reason": "ErrImagePull", "message": "r.example/line:2: not found"}}}  # fmt: skip
    pod = {
        "spec": {"volumes": [{"name": "tmp", "emptyDir": {}}, {"image": {"reference": "r.example/line:2"}}]}
    }
    found = containers.diagnose(pod, waiting)
    assert found is not None
    assert "The image r.example/line:2" in found.message


def test_a_lasting_image_failure_reads_the_same_each_time() -> None:
    waiting = explanations.image("x", "ImagePullBackOff", UNREACHABLE)
    trying = explanations.image("x", "ErrImagePull", UNREACHABLE.partition("ErrImagePull: ")[2])
    assert waiting == trying == explanations.image("x", "ImagePullBackOff", UNREACHABLE.replace("42468", "5"))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('secret "s3" not found', "Secret s3 does not exist"),
        ("couldn't find key b in Secret default/has", "Secret has lacks the key b. Add it"),
        ("container has runAsNonRoot and image will run as root", None),
    ],
)
def test_a_secret_that_is_missing_is_told_from_other_faults(message: str, words: str | None) -> None:
    told = explanations.secret(message)
    assert told is None if words is None else words in (told or "")


def pod(scheduler: str, requests: dict[str, Any], revision: str = NEW, **status: Any) -> Manifest:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": scheduler}
    container = {"name": naming.SERVE, "resources": {"limits": requests}}
    return {
        "metadata": {"name": f"{revision}-0", "labels": {naming.LABEL_REVISION: revision}},
        "spec": {"containers": [container]},
        "status": {"conditions": [scheduled] if scheduler else [], **status},
    }


GPU = (
    "0/1 nodes are available: 1 Insufficient memory, 1 Insufficient nvidia.com/gpu. preemption: 0/1 nodes are"
    " available: 1 Preemption is not helpful for scheduling."
)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            GPU,
            "not enough memory; not enough nvidia.com/gpu (each pod asks for 1). Ask for less in spec.resources",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
            "spec.pod.nodeSelector",
        ),
        ("0/1 nodes are available: 1 node(s) had untolerated taint(s).", "spec.pod.tolerations"),
        ("0/2 nodes are available: 2 node(s) had untolerated taint {gpu: yes}.", "spec.pod.tolerations"),
        ("0/1 nodes are available: 1 node(s) were unschedulable.", "cordoned"),
        (
            "0/1 nodes are available: 1 Something new.",
            "No node can take the pod: 0/1 nodes are available: 1 Something",
        ),
    ],
)
def test_a_pod_without_a_node_is_told_what_is_short_or_does_not_fit(message: str, words: str) -> None:
    pending = pod(message, {"nvidia.com/gpu": 1})
    told = scheduling.message_of(pending)
    assert told is not None
    assert "preemption" not in told
    assert words in scheduling.explain(pending, told)


def diagnose(strategy: str, *pods: Manifest) -> api.Failure:
    deployment = {"spec": {"strategy": {"type": strategy}}}
    found = failures.diagnose(NEW, Observed(children={Kind.DEPLOYMENT: deployment}, pods=pods))
    assert found is not None
    return found


NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
HOLDER = pod("", {"nvidia.com/gpu": "1"}, OLD, phase="Running")


def test_a_rolling_update_whose_old_pod_holds_the_only_gpu_is_deadlocked_and_offers_recreate() -> None:
    found = diagnose("RollingUpdate", pod(NO_GPU, {"nvidia.com/gpu": 1}), HOLDER)
    assert found.reason == conditions.ROLLOUT_DEADLOCKED
    assert "nvidia.com/gpu" in found.message
    assert "spec.rollout.strategy: Recreate" in found.message


@pytest.mark.parametrize(
    ("strategy", "needed", "others"),
    [
        ("Recreate", 1, [HOLDER]),
        ("RollingUpdate", 1, []),
        ("RollingUpdate", 2, [HOLDER]),
        ("RollingUpdate", 1, [HOLDER | {"status": {"phase": "Succeeded"}}]),
        ("RollingUpdate", 1, [HOLDER, pod("", {"cpu": 1}, "iris-older")]),
    ],
)
def test_it_is_no_deadlock_when_stopping_the_old_pods_would_not_help(
    strategy: str, needed: int, others: list[Manifest]
) -> None:
    found = diagnose(strategy, pod(NO_GPU, {"nvidia.com/gpu": needed}), *others)
    assert found.reason == conditions.UNSCHEDULABLE


def test_a_pod_that_waits_for_old_ones_to_stop_has_not_failed() -> None:
    pending = pod(NO_GPU, {"nvidia.com/gpu": 1})
    stopping = copy.deepcopy(HOLDER)
    stopping["metadata"]["deletionTimestamp"] = "2026-11-24T08:04:10Z"
    assert failures.diagnose(NEW, Observed(pods=(pending, stopping))) is None
    assert failures.step(NEW, (pending, stopping)) == f"{NEW}-0 waits for a node"


def test_a_missing_volume_claim_is_named() -> None:
    message = '0/1 nodes are available: persistentvolumeclaim "models" not found. not found'
    found = diagnose("RollingUpdate", pod(message, {}))
    assert found.reason == conditions.VOLUME_CLAIM_MISSING
    assert "Volume claim models does not exist" in found.message


def test_a_container_that_the_node_cannot_start_is_told_in_the_nodes_words() -> None:
    status = cluster_world.waiting(naming.SERVE, "CreateContainerError", 'exec: "serve": not found')
    found = diagnose("Recreate", pod("", {}, **status))
    assert found.reason == conditions.CONTAINER_NOT_STARTED
    assert 'exec: "serve": not found' in found.message


STARTUP = {"httpGet": {"path": "/readyz"}, "periodSeconds": 1, "failureThreshold": 6}


def restarted(finished: str, exit_code: int = 137, *, started: bool = False) -> Manifest:
    ended = {
        "exitCode": exit_code,
        "reason": "Error",
        "startedAt": "2026-11-24T08:04:10Z",
        "finishedAt": finished,
    }
    status = {
        "name": naming.SERVE,
        "ready": False,
        "started": started,
        "restartCount": 1,
        "state": {"running": {}},
        "lastState": {"terminated": ended},
    }
    found = pod("", {}, containerStatuses=[status])
    found["spec"]["containers"][0]["startupProbe"] = STARTUP
    return found


def test_a_container_that_its_startup_probe_restarted_says_so() -> None:
    found = diagnose("Recreate", restarted("2026-11-24T08:04:46Z"))
    assert found.reason == conditions.PROBE_FAILED
    assert "GET /readyz, did not succeed within 6 s" in found.message


@pytest.mark.parametrize(
    "other",
    [
        restarted("2026-11-24T08:04:12Z"),  # killed after 2 s: somebody's doing
        restarted("2026-11-24T08:04:46Z", 1),  # ended by itself
        restarted("2026-11-24T08:04:46Z", started=True),
        restarted("no time"),
    ],
)
def test_a_single_end_of_another_kind_is_no_failed_probe(other: Manifest) -> None:
    assert failures.diagnose(NEW, Observed(pods=(other,))) is None


def test_a_container_that_runs_and_is_late_has_a_probe_that_never_passed() -> None:
    late = restarted("2026-11-24T08:04:12Z")
    found = failures.never_ready(NEW, Observed(pods=(late,)))
    assert found is not None
    assert found.reason == conditions.PROBE_FAILED
    assert "GET /readyz, does not succeed" in found.message
    assert failures.never_ready(NEW, Observed(pods=(pod("", {}),))) is None


def test_an_evicted_pod_is_told_while_no_other_is_ready() -> None:
    message = 'Usage of EmptyDir volume "artifact" exceeds the limit "1Mi". '
    evicted = pod("", {}, phase="Failed", reason="Evicted", message=message)
    found = diagnose("Recreate", evicted, pod("", {}))
    assert found.reason == conditions.POD_EVICTED
    assert "exceeds the limit" in found.message
    ready: dict[str, Any] = {"containerStatuses": [{"name": naming.SERVE, "ready": True}]}
    assert failures.diagnose(NEW, Observed(pods=(evicted, pod("", {}, **ready)))) is None


def test_the_last_words_of_a_crashed_container_lose_what_looks_like_a_secret() -> None:
    status = cluster_world.terminated(naming.SERVE, 1, "can't reach https://me:hunter2@host/x")
    found = diagnose("Recreate", pod("", {}, **status))
    assert found.reason == conditions.CRASH_LOOP
    assert "hunter2" not in found.message
