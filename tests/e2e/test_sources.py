"""Models that the node brings to the pod: out of a volume claim, and as an image that the kubelet pulls and mounts."""

import base64
import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import install, predictions, service
from demo import kubectl as kubectl_module
from devcluster import clusters
from devcluster import images as images_module
from examples import train
from tests.integration.runtime import registries
from tests.support import modeldeployments, waiting

# Of the node's own loopback, from where container runtimes pull without TLS.
_REGISTRY = "127.0.0.1:5917"
_NAME = "localhost/modelyard/test-registry"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> train.TrainedModel:
    """The line model."""
    return train.train_line(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def registry_image(
    cluster: clusters.Cluster, model: train.TrainedModel, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """An image with a registry that holds an image of the model."""
    scratch = tmp_path_factory.mktemp("registry-image")
    root = scratch / "root"
    root.mkdir()
    with registries.running(root / "registry") as filling:
        models = scratch / "models"
        models.mkdir()
        shutil.copy(model.path, models)
        filling.push_image("models/line:1", models, scratch)
    settings = {
        "version": "0.1",
        "storage": {
            "filesystem": {"rootdirectory": "/registry/storage"},
            "maintenance": {"readonly": {"enabled": True}},
        },
        "http": {"addr": _REGISTRY, "secret": "of-the-tests"},
    }
    (root / "registry/config.yml").write_text(json.dumps(settings))
    program = Path(shutil.which("docker-registry") or "")
    for file in (program, *_libraries(program)):
        target = root / file.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.resolve(), target)
    (scratch / "Dockerfile").write_text(
        f'FROM scratch\nCOPY . /\nENTRYPOINT ["{program}", "serve", "/registry/config.yml"]\n'
    )
    reference, archive = f"{_NAME}:{uuid.uuid4().hex[:8]}", scratch / "image.tar"
    registries.save_image(
        reference, f"docker-archive:{archive}:{reference}", scratch / "Dockerfile", root, scratch
    )
    return cluster.load_image(images_module.Image(reference, archive, reference))


def _libraries(program: Path) -> list[Path]:
    """Gives the files that a program is loaded with."""
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", listed)]


@pytest.fixture(scope="module")
def node(
    kubectl: kubectl_module.Kubectl,
    images: install.Images,
    registry_image: str,
    model: train.TrainedModel,
    namespace: str,
) -> Iterator[str]:
    """A node with the registry on its loopback and a volume with the model; gives the claim's name."""
    name = f"node-{uuid.uuid4().hex[:8]}"
    folder = f"modelyard-{name}"
    content = base64.b64encode(model.path.read_bytes()).decode()
    program = (
        "import base64, os, pathlib; os.umask(0o022); "
        f"folder = pathlib.Path('/volume/{folder}/line'); folder.mkdir(parents=True); "
        f"(folder / {model.path.name!r}).write_bytes(base64.b64decode({content!r})); "
        "(folder / 'stolen.pkl').symlink_to('/mnt/artifact')"
    )
    clear = f"import shutil; shutil.rmtree('/volume/{folder}')"
    body = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "node", "namespace": name},
        "spec": {
            "hostNetwork": True, "terminationGracePeriodSeconds": 1,
            "initContainers": [{
                "name": "fill", "image": images.runtime, "command": ["/opt/modelyard/bin/python", "-c", program],
                "securityContext": {"runAsUser": 0}, "volumeMounts": [{"name": "volume", "mountPath": "/volume"}],
            }],
            "containers": [
                {"name": "registry", "image": registry_image, "imagePullPolicy": "IfNotPresent"},
                {"name": "hold", "image": images.runtime, "securityContext": {"runAsUser": 0},
                 "command": ["/opt/modelyard/bin/python", "-c", "import signal; signal.pause()"],
                 "volumeMounts": [{"name": "volume", "mountPath": "/volume"}]},
            ],
            "volumes": [{"name": "volume", "hostPath": {"path": "/var/tmp"}}],
        },
    }  # fmt: skip
    size = {"storage": "1Mi"}
    persistent = {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {"capacity": size, "accessModes": ["ReadOnlyMany"], "storageClassName": "",
                 "hostPath": {"path": f"/var/tmp/{folder}"}, "claimRef": {"namespace": namespace, "name": "models"}},
    }  # fmt: skip
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models", "namespace": namespace},
        "spec": {"accessModes": ["ReadOnlyMany"], "storageClassName": "", "volumeName": name,
                 "resources": {"requests": size}},
    }  # fmt: skip
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    for each in (space, body, persistent, claim):
        kubectl.apply(json.dumps(each))
    kubectl.run("wait", "--for=condition=Ready", "pod/node", f"--namespace={name}", "--timeout=120s")
    yield "models"
    command = ("/opt/modelyard/bin/python", "-c", clear)
    kubectl.run("exec", "node", f"--namespace={name}", "--container=hold", "--", *command)
    kubectl.run("delete", "namespace", name, "--wait=false")
    kubectl.run("delete", "persistentvolume", name, "--wait=false")


def _serve(kubectl: kubectl_module.Kubectl, namespace: str, name: str, uri: str) -> None:
    kubectl.apply(modeldeployments.manifest(name, uri), f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", f"mdep/{name}", f"--namespace={namespace}", "--timeout=120s")


def _stalled(kubectl: kubectl_module.Kubectl, namespace: str, name: str, uri: str) -> dict[str, str]:
    kubectl.apply(modeldeployments.manifest(name, uri), f"--namespace={namespace}")
    found: dict[str, str] = waiting.eventually(
        lambda: modeldeployments.condition(kubectl, namespace, name, "Stalled"), "Stalled", 120
    )
    return found


@pytest.mark.parametrize("name", ["from-claim", "from-image"])
def test_a_model_that_the_node_mounts_is_served(
    kubectl: kubectl_module.Kubectl, namespace: str, node: str, model: train.TrainedModel, name: str
) -> None:
    uris = {
        "from-claim": f"pvc://{node}/line/{model.path.name}",
        "from-image": f"oci+volume://{_REGISTRY}/models/line:1/models/{model.path.name}",
    }
    _serve(kubectl, namespace, name, uris[name])
    answer = service.post_through_api_server(kubectl, namespace, name, "/predict", {"X": model.rows})
    assert predictions.differences(answer["y_pred"], predictions.expected(model)) == []
    # The one that serves has neither the volume nor a login for it.
    (pod,) = modeldeployments.pods(kubectl, namespace, name)
    mounted = {each["name"] for each in pod["spec"]["containers"][0]["volumeMounts"]}
    assert mounted == {"artifact", "tmp"}


def test_a_link_out_of_the_claim_and_a_claim_that_is_not_there_are_told(
    kubectl: kubectl_module.Kubectl, namespace: str, node: str
) -> None:
    stolen = _stalled(kubectl, namespace, "stolen", f"pvc://{node}/line/stolen.pkl")
    assert (stolen["reason"], "leads out of" in stolen["message"]) == ("AccessDenied", True), stolen
    missing = _stalled(kubectl, namespace, "missing", "pvc://nowhere/line/model.pkl")
    assert (missing["reason"], "nowhere" in missing["message"]) == ("VolumeClaimMissing", True), missing


def test_an_image_that_is_not_there_is_told_by_its_name(
    kubectl: kubectl_module.Kubectl, namespace: str, node: str
) -> None:
    del node
    uri = f"oci+volume://{_REGISTRY}/models/line:2"
    kubectl.apply(modeldeployments.manifest("no-image", uri), f"--namespace={namespace}")

    def failure() -> dict[str, str] | None:
        found: dict[str, str] | None = (
            modeldeployments.status(kubectl, namespace, "no-image").get("candidate", {}).get("failure")
        )
        return found

    told = waiting.eventually(failure, "the status tells of the image", 120)
    assert told["reason"] == "ImagePullFailed"
    assert f"The image {_REGISTRY}/models/line:2 can't be pulled" in told["message"], told
    assert "spec.model.uri" in told["message"]
