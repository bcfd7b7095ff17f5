"""A real S3 server in the cluster, and publishing model files to it.

Called by the demo and the end-to-end tests. The credentials are made up anew for each namespace and live only in its
Secret: the server and the `fetch` containers read them from there.
"""

import base64
import datetime
import secrets
from pathlib import Path

import httpx
import obstore
import obstore.store

from demo import kubectl as kubectl_module

SECRET = "models-s3"  # noqa: S105  # a name, not a secret
BUCKET = "models"
PORT = 7070
_MANIFEST = Path(__file__).parent.parent / "examples" / "s3-server.yaml"


def deploy(kubectl: kubectl_module.Kubectl, namespace: str, image: str) -> None:
    """Start the S3 server in `namespace`, with fresh credentials when it has none, and wait until it answers."""
    if not kubectl.exists("secret", SECRET, f"--namespace={namespace}"):
        kubectl.run(
            "create",
            "secret",
            "generic",
            SECRET,
            f"--namespace={namespace}",
            "--from-env-file=/dev/stdin",
            stdin="\n".join(
                [
                    f"AWS_ACCESS_KEY_ID=demo-{secrets.token_hex(4)}",
                    f"AWS_SECRET_ACCESS_KEY={secrets.token_hex(16)}",
                    "AWS_REGION=us-east-1",
                    f"AWS_ENDPOINT_URL=http://s3.{namespace}.svc.cluster.local:{PORT}",
                ]
            ),
        )
    manifest = _MANIFEST.read_text().replace("modelyard/demo-s3:dev", image)
    kubectl.apply(manifest, f"--namespace={namespace}")
    kubectl.run("rollout", "status", "deployment/s3", f"--namespace={namespace}", "--timeout=90s")


def publish(kubectl: kubectl_module.Kubectl, namespace: str, files: dict[str, Path]) -> None:
    """Upload `files` (key → file) to the bucket, making it when it is not there."""
    data = kubectl.get("secret", SECRET, f"--namespace={namespace}")["data"]
    values = {key: base64.b64decode(value).decode() for key, value in data.items()}
    with kubectl.forwarded_port(namespace, "service/s3", PORT) as port:
        store = obstore.store.S3Store(
            BUCKET,
            endpoint=f"http://127.0.0.1:{port}",
            access_key_id=values["AWS_ACCESS_KEY_ID"],
            secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
            region=values["AWS_REGION"],
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
        _make_bucket(store)
        for key, path in files.items():
            obstore.put(store, key, path)


def _make_bucket(store: obstore.store.S3Store) -> None:
    # The library has no call for it, but signs any request: a PUT of the bucket itself creates it.
    url = obstore.sign(store, "PUT", "", expires_in=datetime.timedelta(minutes=1))
    answer = httpx.put(url, timeout=10)
    if answer.status_code not in (200, 409):
        raise kubectl_module.CommandError(
            f"the S3 server refused to make the bucket: HTTP {answer.status_code}"
        )
