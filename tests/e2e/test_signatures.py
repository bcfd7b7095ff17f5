"""Signed models on a real cluster: served with the right key; anything else is told while the old pods serve on."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from demo import kubectl as kubectl_module
from demo import service, storage
from examples import train
from tests.support import modeldeployments, signing_tool

KEY = "team-key"
OTHER_KEY = "other-key"
RULE = "policy.requireSignature: spec.model.signature must name a public key in namespace "


@pytest.fixture(scope="module")
def signed(kubectl: kubectl_module.Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The line model as a file and as a folder, signed by the real tool, and what is wrong in some way beside them."""
    root = tmp_path_factory.mktemp("models")
    for name in (KEY, OTHER_KEY):
        public = root / f"{name}.pub"
        signing_tool.write_key_pair(ec.generate_private_key(ec.SECP256R1()), root / f"{name}.pem", public)
        source = f"--from-file=key.pub={public}"
        kubectl.run("create", "secret", "generic", name, f"--namespace={namespace}", source)
    line = train.train_line(root).path
    folder = root / "folder"
    folder.mkdir()
    shutil.copy(line, folder)
    (folder / "notes.txt").write_text("y = 2x + 1")
    signature = root / "model.pkl.sig"
    signing_tool.sign(line, signature, root / f"{KEY}.pem")
    signing_tool.sign(folder, folder / "model.sig", root / f"{KEY}.pem")
    altered, notes = root / "altered.pkl", root / "altered.txt"
    altered.write_bytes(line.read_bytes() + b"\n# and something else")
    notes.write_text("y = 2x + 2")
    of_folder = {path.name: path for path in folder.iterdir()}
    storage.publish(
        kubectl,
        namespace,
        {
            "file/model.pkl": line,
            "file/model.pkl.sig": signature,
            "altered/model.pkl": altered,
            "altered/model.pkl.sig": signature,
            "unsigned/model.pkl": line,
            **{f"folder/{name}": path for name, path in of_folder.items()},
            **{f"altered-folder/{name}": path for name, path in {**of_folder, "notes.txt": notes}.items()},
        },
    )


@pytest.fixture(scope="module")
def served(kubectl: kubectl_module.Kubectl, namespace: str, signed: None) -> dict[str, str]:
    """Models from the signed file and the signed folder, that serve; gives their pods."""
    for name, uri in {"file": "s3://models/file/model.pkl", "folder": "s3://models/folder/"}.items():
        kubectl.apply(_manifest(name, uri), f"--namespace={namespace}")
    modeldeployments.until_ready(kubectl, namespace, "file", "folder")
    return {name: _first_pod(kubectl, namespace, name) for name in ("file", "folder")}


# The model that is updated, what it is updated to, and words that the status must then say.
WRONG: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "another key": ("file", "s3://models/file/model.pkl", OTHER_KEY, ("and the key that is asked for is",)),
    "an altered file": ("file", "s3://models/altered/model.pkl", KEY, ("its bytes differ",)),
    "no signature": ("file", "s3://models/unsigned/model.pkl", KEY, ("unsigned/model.pkl.sig",)),
    "an altered file in a folder": ("folder", "s3://models/altered-folder/", KEY, ("'notes.txt'",)),
}


def test_what_the_real_tool_has_signed_is_served(
    kubectl: kubectl_module.Kubectl, namespace: str, served: dict[str, str]
) -> None:
    for name in served:
        _check_that_it_serves(kubectl, namespace, name)
        (pod,) = modeldeployments.pods(kubectl, namespace, name)
        mounted = {each["name"] for each in pod["spec"]["containers"][0]["volumeMounts"]}
        assert mounted == {"artifact", "tmp"}  # the key is the business of `fetch`


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_hold_is_told_and_the_old_pods_serve_on(
    kubectl: kubectl_module.Kubectl, namespace: str, served: dict[str, str], case: str
) -> None:
    name, uri, key, words = WRONG[case]
    kubectl.apply(_manifest(name, uri, key), f"--namespace={namespace}")
    message = modeldeployments.until_stalled(kubectl, namespace, name, "SignatureInvalid")
    for word in words:
        assert word in message
    status = modeldeployments.status(kubectl, namespace, name)
    assert {each["type"]: each["status"] for each in status["conditions"]}["Available"] == "True"
    assert status["candidate"]["failure"]["reason"] == "SignatureInvalid"
    assert status["stable"]["ready"] == 1
    assert served[name] in {
        pod["metadata"]["name"] for pod in modeldeployments.pods(kubectl, namespace, name)
    }
    _check_that_it_serves(kubectl, namespace, name)


@pytest.fixture
def ruled(kubectl: kubectl_module.Kubectl, namespace: str, chart: list[str]) -> Iterator[None]:
    """An operator that wants signatures in this namespace."""
    kubectl.run_helm(*chart, f"--set=policy.requireSignature={{{namespace}}}")
    yield
    kubectl.run_helm(*chart)


@pytest.mark.usefixtures("served", "ruled")
def test_with_the_rule_an_unsigned_model_is_refused_and_a_signed_one_served(
    kubectl: kubectl_module.Kubectl, namespace: str
) -> None:
    unsigned = modeldeployments.manifest("unsigned", "s3://models/file/model.pkl")
    kubectl.apply(unsigned, f"--namespace={namespace}")
    kubectl.apply(_manifest("ruled", "s3://models/file/model.pkl"), f"--namespace={namespace}")
    message = modeldeployments.until_stalled(kubectl, namespace, "unsigned", "PolicyViolation")
    assert message.startswith(RULE + namespace)
    assert not kubectl.exists("deployment", "unsigned", f"--namespace={namespace}")
    modeldeployments.until_ready(kubectl, namespace, "ruled")


def _manifest(name: str, uri: str, key: str = KEY) -> str:
    signature: dict[str, Any] = {"publicKey": {"secretName": key}}
    return modeldeployments.manifest(name, uri, model={"signature": signature})


def _first_pod(kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> str:
    return str(modeldeployments.pods(kubectl, namespace, name)[0]["metadata"]["name"])


def _check_that_it_serves(kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> None:
    answer = service.post_through_api_server(kubectl, namespace, name, "/predict", {"X": [[2.0]]})
    assert answer["y_pred"] == pytest.approx([5.0])
