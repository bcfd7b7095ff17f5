"""The node cache on a real node: what one pod has fetched serves the next, and neither damage nor death spoils it."""

import concurrent.futures
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from demo import install, service, storage
from demo import kubectl as kubectl_module
from examples import train
from modelyard_runtime.artifact import digest
from tests.e2e import node_folder
from tests.support import modeldeployments, waiting

# As little as the chart's schema admits, and folders of which two have room in it and a third has not.
SIZE = "1Mi"
_SHARE_BYTES = 400 * 1024
# Long enough in the writing for another process to notice, on a busy machine too.
_LONG_BYTES = 96 * 1024**2


@pytest.fixture(scope="module")
def node(kubectl: kubectl_module.Kubectl, images: install.Images) -> Iterator[node_folder.NodeFolder]:
    """A folder of the node: `cache` for hostPath, as docs/cache.md prepares it, and `volume` for a claim."""
    with node_folder.made(kubectl, images.runtime) as made:
        made.run("os.mkdir('cache', 0o700); os.chown('cache', 10001, 10001); os.mkdir('volume')")
        yield made


@dataclasses.dataclass(frozen=True)
class Artifacts:
    """What the S3 server has: the line model as it is, and in folders with ballast; by name: address and digest."""

    kubectl: kubectl_module.Kubectl
    namespace: str
    digests: dict[str, str]

    @staticmethod
    def uri(name: str) -> str:
        return "s3://models/line/model.pkl" if name == "line" else f"s3://models/{name}/"

    def downloads(self, name: str) -> int:
        """Count how often the server was asked for a model's file, in its own words."""
        said = self.kubectl.run("logs", "deployment/s3", f"--namespace={self.namespace}")
        return len(re.findall(rf"\| GET +\| /models/{name}/model\.pkl", said))


@pytest.fixture(scope="module")
def artifacts(
    kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Artifacts:
    """The line model, and folders with it: one that takes long to write, and three that are too much for a cache."""
    folder = tmp_path_factory.mktemp("models")
    line = train.train_line(folder).path
    files, digests = {"line/model.pkl": line}, {"line": digest.of_file(line)}
    for name, size_bytes in {
        "heavy": _LONG_BYTES,
        **dict.fromkeys(("first", "second", "third"), _SHARE_BYTES),
    }.items():
        (folder / name).mkdir()
        shutil.copy(line, folder / name)
        ballast = folder / name / "ballast.bin"
        ballast.write_text(name)
        os.truncate(ballast, size_bytes)
        files |= {f"{name}/{path.name}": path for path in (folder / name).iterdir()}
        digests[name] = digest.of_path(folder / name)
    storage.publish(kubectl, namespace, files)
    return Artifacts(kubectl, namespace, digests)


@pytest.fixture(scope="module")
def on_the_node(
    kubectl: kubectl_module.Kubectl,
    namespace: str,
    chart: list[str],
    node: node_folder.NodeFolder,
    artifacts: Artifacts,
) -> Iterator[str]:
    """The chart with a cache in the node's folder; gives a namespace that admits hostPath, with the server's Secret."""
    secret = kubectl.get("secret", storage.SECRET, f"--namespace={namespace}")
    secret["metadata"] = {"name": storage.SECRET}
    kubectl.apply(json.dumps(secret), f"--namespace={node.namespace}")
    kubectl.run_helm(
        *chart, "--set=artifactCache.type=HostPath", f"--set=artifactCache.path={node.path}/cache"
    )
    yield node.namespace
    kubectl.run_helm(*chart)


def test_an_artifact_is_downloaded_once_for_all_pods_of_a_node(
    kubectl: kubectl_module.Kubectl, on_the_node: str, namespace: str, artifacts: Artifacts
) -> None:
    uri = artifacts.uri("line")
    kubectl.apply(modeldeployments.manifest("unpinned", uri), f"--namespace={on_the_node}")
    modeldeployments.until_ready(kubectl, on_the_node, "unpinned")
    (pod,) = modeldeployments.pods(kubectl, on_the_node, "unpinned")
    assert "kept in the node cache" in _fetch_log(kubectl, pod)
    asked = artifacts.downloads("line")
    assert asked > 0
    # Another pod of the revision, which is locked to a digest, and another model that is pinned to it.
    kubectl.run("scale", "mdep", "unpinned", "--replicas=2", f"--namespace={on_the_node}")
    _apply_pinned(kubectl, on_the_node, "pinned", artifacts, "line")
    modeldeployments.until_ready(kubectl, on_the_node, "unpinned", "pinned")
    for name in ("unpinned", "pinned"):
        for other in modeldeployments.pods(kubectl, on_the_node, name):
            if other["metadata"]["name"] != pod["metadata"]["name"]:
                assert "taken from the node cache" in _fetch_log(kubectl, other)
    assert artifacts.downloads("line") == asked
    answer = service.post_through_api_server(kubectl, on_the_node, "pinned", "/predict", {"X": [[2.0]]})
    assert answer["y_pred"] == pytest.approx([5.0])
    _check_restricted(kubectl, namespace, pod)


def _check_restricted(kubectl: kubectl_module.Kubectl, namespace: str, pod: dict[str, Any]) -> None:
    """Ask a namespace that enforces `restricted`: it refuses the pod for its hostPath, and for nothing else."""
    copy = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "copy", "namespace": namespace}}
    spec = pod["spec"]

    def ask() -> str:
        return kubectl.run(
            "create", "--dry-run=server", "--filename=-", stdin=json.dumps({**copy, "spec": spec})
        )

    with pytest.raises(kubectl_module.CommandError, match="hostPath"):
        ask()
    (volume,) = (each["name"] for each in spec["volumes"] if "hostPath" in each)
    spec["volumes"] = [each for each in spec["volumes"] if each["name"] != volume]
    for container in (*spec["initContainers"], *spec["containers"]):
        mounts = container["volumeMounts"]
        container["volumeMounts"] = [each for each in mounts if each["name"] != volume]
        # Only `fetch` has the cache.
        assert (mounts != container["volumeMounts"]) is (container["name"] == "fetch")
    assert "copy created" in ask()


def test_a_namespace_that_forbids_the_nodes_folders_is_told_so(
    kubectl: kubectl_module.Kubectl, on_the_node: str, namespace: str, artifacts: Artifacts
) -> None:
    del on_the_node
    _apply_pinned(kubectl, namespace, "forbidden", artifacts, "line")

    def refusal() -> str:
        candidate = modeldeployments.status(kubectl, namespace, "forbidden").get("candidate", {})
        failure = candidate.get("failure", {})
        return str(failure["message"]) if failure.get("reason") == "PodRefused" else ""

    assert "hostPath" in waiting.eventually(refusal, "the refusal is in the status", 60)
    kubectl.run("delete", "mdep", "forbidden", f"--namespace={namespace}")


def test_a_file_that_is_damaged_in_the_cache_is_downloaded_anew_and_right_again(
    kubectl: kubectl_module.Kubectl, on_the_node: str, node: node_folder.NodeFolder, artifacts: Artifacts
) -> None:
    kept = artifacts.digests["line"]
    node.run(
        "import pathlib; c, = pathlib.Path('cache').glob('entries/*/content'); c.write_bytes(c.read_bytes()[::-1])"
    )
    assert _entries(node, "cache")[kept] != kept
    asked = artifacts.downloads("line")
    _apply_pinned(kubectl, on_the_node, "after-damage", artifacts, "line")
    modeldeployments.until_ready(kubectl, on_the_node, "after-damage")
    (pod,) = modeldeployments.pods(kubectl, on_the_node, "after-damage")
    assert "node cache held other bytes: dropped" in _fetch_log(kubectl, pod)
    assert artifacts.downloads("line") > asked
    assert _entries(node, "cache") == {kept: kept}


def test_a_pod_that_is_killed_while_it_writes_an_entry_harms_nobody(
    kubectl: kubectl_module.Kubectl, on_the_node: str, node: node_folder.NodeFolder, artifacts: Artifacts
) -> None:
    before = _entries(node, "cache").keys()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        killing = pool.submit(node.run, node_folder.KILL_A_WRITER)
        text = modeldeployments.manifest("killed", artifacts.uri("heavy"))
        kubectl.apply(text, f"--namespace={on_the_node}")
        assert killing.result() == "killed\n"
    modeldeployments.until_ready(kubectl, on_the_node, "killed")
    (pod,) = modeldeployments.pods(kubectl, on_the_node, "killed")
    fetch = next(each for each in pod["status"]["initContainerStatuses"] if each["name"] == "fetch")
    assert (fetch["restartCount"], fetch["lastState"]["terminated"]["exitCode"]) == (1, 137)
    assert "kept in the node cache" in _fetch_log(kubectl, pod)
    assert _entries(node, "cache").keys() - before == {artifacts.digests["heavy"]}
    assert node.run("print(os.listdir('cache/writing'))") == "[]\n"
    answer = service.post_through_api_server(kubectl, on_the_node, "killed", "/predict", {"X": [[2.0]]})
    assert answer["y_pred"] == pytest.approx([5.0])


@pytest.fixture
def claim(
    kubectl: kubectl_module.Kubectl,
    namespace: str,
    chart: list[str],
    node: node_folder.NodeFolder,
    on_the_node: str,
) -> Iterator[None]:
    """The chart with a cache in a claim of the restricted namespace, as small as can be."""
    del on_the_node  # which puts back the chart
    of = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    affinity = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.node]}
    volume = {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": node.namespace},
        "spec": {**of, "capacity": {"storage": SIZE}, "local": {"path": f"{node.path}/volume"},
                 "claimRef": {"namespace": namespace, "name": "node-cache"},
                 "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [affinity]}]}}},
    }  # fmt: skip
    asked = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "node-cache", "namespace": namespace},
        "spec": {**of, "volumeName": node.namespace, "resources": {"requests": {"storage": SIZE}}},
    }  # fmt: skip
    for each in (volume, asked):
        kubectl.apply(json.dumps(each))
    values = {"type": "PersistentVolumeClaim", "claimName": "node-cache", "size": SIZE}
    kubectl.run_helm(*chart, *(f"--set=artifactCache.{name}={value}" for name, value in values.items()))
    yield
    kubectl.run("delete", "persistentvolume", node.namespace, "--wait=false")


@pytest.mark.usefixtures("claim")
def test_a_claim_holds_what_has_room_and_the_longest_unused_goes(
    kubectl: kubectl_module.Kubectl, namespace: str, node: node_folder.NodeFolder, artifacts: Artifacts
) -> None:
    for name in ("first", "second"):
        _apply_pinned(kubectl, namespace, name, artifacts, name)
    modeldeployments.until_ready(kubectl, namespace, "first", "second")
    digests = artifacts.digests
    assert _entries(node, "volume").keys() == {digests["first"], digests["second"]}
    asked = artifacts.downloads("first")
    kubectl.run("scale", "mdep", "first", "--replicas=2", f"--namespace={namespace}")
    modeldeployments.until_ready(kubectl, namespace, "first")
    assert artifacts.downloads("first") == asked
    _apply_pinned(kubectl, namespace, "third", artifacts, "third")
    modeldeployments.until_ready(kubectl, namespace, "third")
    assert _entries(node, "volume").keys() == {digests["first"], digests["third"]}
    kubectl.run("delete", "mdep", "first", "second", "third", f"--namespace={namespace}")


def _apply_pinned(
    kubectl: kubectl_module.Kubectl, namespace: str, name: str, artifacts: Artifacts, artifact: str
) -> None:
    pin = {"digest": artifacts.digests[artifact]}
    text = modeldeployments.manifest(name, artifacts.uri(artifact), model=pin)
    kubectl.apply(text, f"--namespace={namespace}")


def _fetch_log(kubectl: kubectl_module.Kubectl, pod: dict[str, Any]) -> str:
    return modeldeployments.logs(kubectl, pod["metadata"]["namespace"], pod["metadata"]["name"], "fetch")


def _entries(node: node_folder.NodeFolder, folder: str) -> dict[str, str]:
    """Give the entries of a cache: the digest in the name and, for a file, the digest of the content."""
    program = (
        "import hashlib, json, pathlib\n"
        "def of(path): return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else 'a folder'\n"
        f"found = pathlib.Path({folder!r}).glob('entries/*/content')\n"
        "print(json.dumps({path.parent.name.partition('.')[0]: of(path) for path in found}))"
    )
    found: dict[str, str] = json.loads(node.run(program))
    return {f"sha256:{name}": f"sha256:{content}" for name, content in found.items()}
