"""Models that the node brings to the pod: out of a volume claim, and as an image that the kubelet pulls and mounts."""

import base64
import dataclasses
import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import install, predictions, service, storage
from demo import kubectl as kubectl_module
from devcluster import clusters
from devcluster import images as images_module
from examples import train
from tests.e2e import origins
from tests.integration.runtime import registries
from tests.support import modeldeployments, waiting

# Of the node's own loopback, from where container runtimes pull without TLS; the second one wants a login.
_REGISTRY, _GUARDED = "127.0.0.1:5917", "127.0.0.1:5918"
_NAME = "localhost/modelyard/test-registry"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> train.TrainedModel:
    """The line model."""
    return train.train_line(tmp_path_factory.mktemp("models"))


@dataclasses.dataclass(frozen=True)
class RegistryImage:
    """An image with both registries, which hold an image of the model.

    Attributes:
        reference: its own name.
        digest: the digest of the image of the model.
    """

    reference: str
    digest: str


@pytest.fixture(scope="module")
def registry_image(
    cluster: clusters.Cluster, model: train.TrainedModel, tmp_path_factory: pytest.TempPathFactory
) -> RegistryImage:
    """The registries' image, loaded into the cluster."""
    scratch = tmp_path_factory.mktemp("registry-image")
    root = scratch / "root"
    root.mkdir()
    with registries.running(root / "registry") as filling:
        models = scratch / "models"
        models.mkdir()
        shutil.copy(model.path, models)
        filling.push_image("models/line:1", models, scratch)
        digest = filling.digest("models/line", "1")
    settings = {
        "version": "0.1",
        "storage": {
            "filesystem": {"rootdirectory": "/registry/storage"},
            "maintenance": {"readonly": {"enabled": True}},
        },
    }
    passwords = {"htpasswd": {"realm": "of-the-tests", "path": "/registry/htpasswd"}}
    (root / "registry/htpasswd").write_text(registries.HTPASSWD)
    for name, address, more in (("open", _REGISTRY, {}), ("guarded", _GUARDED, {"auth": passwords})):
        content = {**settings, **more, "http": {"addr": address, "secret": "of-the-tests"}}
        (root / f"registry/{name}.yml").write_text(json.dumps(content))
    program = Path(shutil.which("docker-registry") or "")
    for file in (program, *_libraries(program)):
        target = root / file.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.resolve(), target)
    (scratch / "Dockerfile").write_text(f'FROM scratch\nCOPY . /\nENTRYPOINT ["{program}", "serve"]\n')
    reference, archive = f"{_NAME}:{uuid.uuid4().hex[:8]}", scratch / "image.tar"
    registries.save_image(
        reference, f"docker-archive:{archive}:{reference}", scratch / "Dockerfile", root, scratch
    )
    return RegistryImage(cluster.load_image(images_module.Image(reference, archive, reference)), digest)


def _libraries(program: Path) -> list[Path]:
    """Gives the files that a program is loaded with."""
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", listed)]


@pytest.fixture(scope="module")
def node(
    kubectl: kubectl_module.Kubectl,
    images: install.Images,
    registry_image: RegistryImage,
    model: train.TrainedModel,
    namespace: str,
) -> Iterator[str]:
    """A node with the registries on its loopback and a volume with the model; gives the claim's name."""
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
                *({"name": kind, "image": registry_image.reference, "imagePullPolicy": "IfNotPresent",
                   "args": [f"/registry/{kind}.yml"]} for kind in ("open", "guarded")),
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


def _login(kubectl: kubectl_module.Kubectl, namespace: str, name: str, password: str) -> str:
    """Make a Secret with a login for the registry that wants one, and give its name."""
    content = origins.secret(name, {}, origins.login(_GUARDED, password))
    kubectl.apply(content, f"--namespace={namespace}")
    return name


def _serve(
    kubectl: kubectl_module.Kubectl, namespace: str, name: str, uri: str, secret: str = storage.SECRET
) -> None:
    body = modeldeployments.manifest(name, uri, model={"credentials": {"secretName": secret}})
    kubectl.apply(body, f"--namespace={namespace}")
    kubectl.run("wait", "--for=condition=Ready", f"mdep/{name}", f"--namespace={namespace}", "--timeout=120s")


def _stalled(kubectl: kubectl_module.Kubectl, namespace: str, name: str, uri: str) -> dict[str, str]:
    kubectl.apply(modeldeployments.manifest(name, uri), f"--namespace={namespace}")
    found: dict[str, str] = waiting.eventually(
        lambda: modeldeployments.condition(kubectl, namespace, name, "Stalled"), "Stalled", 120
    )
    return found


@pytest.mark.parametrize("name", ["from-claim", "from-image", "from-digest", "from-guarded"])
def test_a_model_that_the_node_mounts_is_served(
    kubectl: kubectl_module.Kubectl,
    namespace: str,
    node: str,
    registry_image: RegistryImage,
    model: train.TrainedModel,
    name: str,
) -> None:
    path = f"models/{model.path.name}"
    uris = {
        "from-claim": f"pvc://{node}/line/{model.path.name}",
        "from-image": f"oci+volume://{_REGISTRY}/models/line:1/{path}",
        "from-digest": f"oci+volume://{_REGISTRY}/models/line@{registry_image.digest}/{path}",
        "from-guarded": f"oci+volume://{_GUARDED}/models/line:1/{path}",
    }
    login = _login(kubectl, namespace, "guarded-login", registries.PASSWORD)
    _serve(kubectl, namespace, name, uris[name], login if name == "from-guarded" else storage.SECRET)
    status = modeldeployments.status(kubectl, namespace, name)
    assert status["stable"]["digest"] == model.digest
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


# Name → image, password of a login, remedy.
NOT_PULLED: dict[str, tuple[str, str | None, str]] = {
    "no-image": (f"{_REGISTRY}/models/line:2", None, "Correct spec.model.uri"),
    "no-login": (f"{_GUARDED}/models/line:1", None, "spec.model.credentials.secretName"),
    "wrong-login": (f"{_GUARDED}/models/line:1", "canary-of-a-stranger", "a login that this registry takes"),
}


@pytest.mark.parametrize("name", NOT_PULLED)
def test_an_image_that_can_not_be_pulled_is_told_by_its_name(
    kubectl: kubectl_module.Kubectl, namespace: str, node: str, name: str
) -> None:
    image, password, remedy = NOT_PULLED[name]
    del node
    secret = storage.SECRET if password is None else _login(kubectl, namespace, name, password)
    body = modeldeployments.manifest(
        name, f"oci+volume://{image}", model={"credentials": {"secretName": secret}}
    )
    kubectl.apply(body, f"--namespace={namespace}")

    def failure() -> dict[str, str] | None:
        found: dict[str, str] | None = (
            modeldeployments.status(kubectl, namespace, name).get("candidate", {}).get("failure")
        )
        return found

    told = waiting.eventually(failure, "the status tells of the image", 120)
    assert told["reason"] == "ImagePullFailed"
    assert f"The image {image} can't be pulled" in told["message"], told
    assert remedy in told["message"], told
    assert "canary" not in json.dumps(modeldeployments.status(kubectl, namespace, name))
