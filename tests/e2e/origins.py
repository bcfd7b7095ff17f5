"""The servers that models come from in the end-to-end tests, beside the cluster, each with the line model.

They are those of the integration tests, on the address under which the cluster's pods reach this machine.
"""

import base64
import contextlib
import dataclasses
import hashlib
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from demo import kubectl as kubectl_module
from examples import train
from tests.integration.runtime import artifact_servers, azure_account, hub, mlflow_registering, registries


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the model is, the Secret that opens the place, and the digest that has to come out.

    Attributes:
        login: what the Secret's `.dockerconfigjson` holds, which makes it one of that type.
    """

    uri: str
    secret: Mapping[str, str]
    digest: str
    login: str = ""

    def manifest(self, name: str) -> str:
        """Give the Secret as JSON."""
        return secret(name, self.secret, self.login)


def secret(name: str, values: Mapping[str, str], login: str = "") -> str:
    """Give a Secret as JSON, of the type of a registry's login when there is one."""
    kind = "kubernetes.io/dockerconfigjson" if login else "Opaque"
    content = {**values, ".dockerconfigjson": login} if login else dict(values)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": kind,
        "stringData": content,
    }
    return json.dumps(body)


def login(registry: str, password: str = registries.PASSWORD) -> str:
    """Give what `docker login` writes down for a registry."""
    encoded = base64.b64encode(f"{registries.USER}:{password}".encode()).decode()
    return json.dumps({"auths": {registry: {"auth": encoded}}})


def address_for_pods(kubectl: kubectl_module.Kubectl) -> str:
    """Give the address of this machine on the way to the cluster's first node, where pods reach it too."""
    addresses = kubectl.get("nodes")["items"][0]["status"]["addresses"]
    (node,) = (each["address"] for each in addresses if each["type"] == "InternalIP")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((node, 9))  # of a datagram socket: nothing is sent
        address: str = probe.getsockname()[0]
        return address


@contextlib.contextmanager
def running(host: str, folder: Path, model: train.TrainedModel) -> Iterator[dict[str, Origin]]:
    """Run all servers; the origins are called by their scheme."""
    content = model.path.read_bytes()
    as_folder = _folder_digest({model.path.name: content})
    with (
        artifact_servers.gcs(folder / "gcs", {"line/model.pkl": content}, host=host) as google,
        artifact_servers.azurite(
            folder / "azurite", azure_account.ACCOUNT, azure_account.KEY, host=host
        ) as azure,
        artifact_servers.mlflow(folder / "mlflow", host=host) as mlflow,
        registries.running(folder / "registry", auth="basic", tls=True, address=host) as registry,
        hub.running(
            {"team/line": hub.Repository({"model.joblib": content}, access="private")}, host
        ) as models,
    ):
        azure_account.fill(azure, {"line/model.pkl": content})
        run = _log_run(mlflow, model.path.name, content)
        registry.push("team/line:1", model.path)
        account = {
            "AZURE_STORAGE_ACCOUNT_NAME": azure_account.ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": azure_account.KEY,
        }
        assert registry.ca is not None
        yield {
            "gs": Origin("gs://models/line/model.pkl", {"GOOGLE_STORAGE_ENDPOINT": google}, model.digest),
            "az": Origin("az://models/line/", {**account, "AZURE_STORAGE_ENDPOINT": azure}, as_folder),
            "mlflow": Origin("mlflow://models/line/champion", {"MLFLOW_TRACKING_URI": mlflow}, as_folder),
            "runs": Origin(f"runs:/{run}/line/model.pkl", {"MLFLOW_TRACKING_URI": mlflow}, model.digest),
            "oci": Origin(
                f"oci://{registry.host}/team/line:1",
                {"ca.crt": registry.ca.read_text()},
                model.digest,
                login(registry.host),
            ),
            "hf": Origin(
                "hf://team/line/model.joblib",
                {"HF_ENDPOINT": models.url, "HF_TOKEN": hub.TOKEN},
                model.digest,
            ),
        }


def _log_run(url: str, name: str, content: bytes) -> str:
    """Log the model as artifact of a run, register that as `line` with the alias `champion`, and give the run's id."""
    with contextlib.closing(mlflow_registering.Registering(url)) as registering:
        run = registering.run("lines")
        registering.upload(run, f"line/{name}", content)
        registering.register("line", run, "line", "champion")
        return run.id


def _folder_digest(files: Mapping[str, bytes]) -> str:
    lines = sorted(
        f"{path}\0{hashlib.sha256(content).hexdigest()}\n".encode() for path, content in files.items()
    )
    return "sha256:" + hashlib.sha256(b"".join(lines)).hexdigest()
