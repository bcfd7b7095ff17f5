"""A real registry of images (Debian's docker-registry) in the ways that registries ask who pulls; what pushes to it."""

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from bench import environments
from devcluster import packages
from tests.integration.runtime import artifact_servers, processes
from tests.support import webserver

USER, PASSWORD = "puller", "canary-of-oci"
# The registry takes bcrypt alone, which Python has not; of PASSWORD.
HTPASSWD = f"{USER}:$2b$04$JfKsW/gxbgQ9bzeH9iGbv.rcKt063glzmIRehm5i47N6SH4493bgy\n"
_SERVICE, _ISSUER = "registry.test", "token-service.test"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
_EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "", "size": 2}
_PUSH = """
import sys, oras.client
target, user, password, verify, plain, backend, *files = sys.argv[1:]
client = oras.client.OrasClient(insecure=plain == "plain", tls_verify=verify or True, auth_backend=backend)
if user:
    client.auth.set_basic_auth(user, password)
client.push(target=target, files=files, disable_path_validation=True)
"""


@dataclasses.dataclass(frozen=True)
class Registry:
    """A registry that runs.

    Attributes:
        host: its host and port, as URIs name it.
        url: the same as a URL.
        storage: the folder of its blobs.
        ca: the certificate to trust, for one with TLS.
        auth: how it asks who pushes and pulls: `basic`, `token`, or not.
        tokens: the service that gives out its tokens.
    """

    host: str
    url: str
    storage: Path
    ca: Path | None = None
    auth: str = ""
    tokens: "TokenService | None" = None

    def push(self, name: str, *files: Path) -> None:
        """Pushes files with oras, each as a titled layer; a folder as one that is packed."""
        python = environments.ensure(Path(__file__).parent / "artifact_clients.txt")
        login = (USER, PASSWORD) if self.auth else ("", "")
        plain = "plain" if self.url.startswith("http:") else ""
        command: list[str | Path] = [
            python,
            "-c",
            _PUSH,
            f"{self.host}/{name}",
            *login,
            str(self.ca or ""),
            plain,
            self.auth or "token",
            *files,
        ]
        subprocess.run(
            command, check=True, capture_output=True, env={"PATH": "/usr/bin:/bin", "HOME": str(self.storage)}
        )

    def push_image(self, name: str, models: Path, scratch: Path) -> None:
        """Pushes an image that buildah makes of nothing but a folder, as its `/models`."""
        packages.require("images")
        (scratch / "Dockerfile").write_text("FROM scratch\nCOPY . /models\n")
        reference = f"{self.host}/{name}"
        save_image(reference, f"docker://{reference}", scratch / "Dockerfile", models, scratch)

    def put_blob(self, repository: str, content: bytes) -> dict[str, Any]:
        """Pushes one blob; gives its descriptor without a type."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        started = httpx.post(f"{self.url}/v2/{repository}/blobs/uploads/")
        location = started.raise_for_status().headers["location"]
        mark = "&" if "?" in location else "?"
        httpx.put(f"{location}{mark}digest={digest}", content=content).raise_for_status()
        return {"digest": digest, "size": len(content)}

    def put(self, repository: str, tag: str, layers: Sequence[Mapping[str, Any]]) -> str:
        """Pushes a manifest with these layers; gives its digest."""
        config = {**_EMPTY, **self.put_blob(repository, b"{}")}
        return self.put_manifest(
            repository, tag, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        )

    def put_manifest(self, repository: str, tag: str, manifest: Mapping[str, Any]) -> str:
        """Pushes any manifest; gives its digest."""
        content = json.dumps(manifest).encode()
        answer = httpx.put(
            f"{self.url}/v2/{repository}/manifests/{tag}",
            content=content,
            headers={"content-type": str(manifest["mediaType"])},
        )
        answer.raise_for_status()
        return f"sha256:{hashlib.sha256(content).hexdigest()}"

    def digest(self, repository: str, tag: str) -> str:
        """Gives the digest of what a tag names."""
        answer = httpx.head(f"{self.url}/v2/{repository}/manifests/{tag}", headers={"accept": MANIFEST})
        digest: str = answer.raise_for_status().headers["docker-content-digest"]
        return digest

    def blob_path(self, digest: str) -> Path:
        """Where a blob's bytes are on its disk."""
        hexadecimal = digest.removeprefix("sha256:")
        return self.storage / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"


@contextlib.contextmanager
def running(
    folder: Path, auth: str = "", tls: bool = False, address: str = processes.LOOPBACK
) -> Iterator[Registry]:
    """Runs a registry that asks for nothing, for a password (`basic`) or for a token (`token`)."""
    packages.require("registry")
    folder.mkdir(parents=True, exist_ok=True)
    host = f"{address}:{processes.free_port(address)}"
    certificate, key = folder / "tls.crt", folder / "tls.key"
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": host, "secret": "of-the-tests"},
    }
    if tls:
        make_certificate(certificate, key, address)
        settings["http"]["tls"] = {"certificate": str(certificate), "key": str(key)}
    service: TokenService | None = None
    with contextlib.ExitStack() as stack:
        if auth == "basic":
            (folder / "htpasswd").write_text(HTPASSWD)
            settings["auth"] = {"htpasswd": {"realm": "of-the-tests", "path": str(folder / "htpasswd")}}
        elif auth == "token":
            service = stack.enter_context(token_service(folder / "tokens"))
            settings["auth"] = {
                "token": {
                    "realm": service.url,
                    "service": _SERVICE,
                    "issuer": _ISSUER,
                    "rootcertbundle": str(service.certificate),
                }
            }
        (folder / "config.yml").write_text(json.dumps(settings))
        url = f"{'https' if tls else 'http'}://{host}"

        def is_ready() -> bool:
            return httpx.get(f"{url}/v2/", verify=False).status_code in (200, 401)  # noqa: S501 - it is there

        command = ["docker-registry", "serve", str(folder / "config.yml")]
        stack.enter_context(artifact_servers.running(command, folder, is_ready))
        yield Registry(host, url, folder / "storage", certificate if tls else None, auth, service)


def save_image(reference: str, target: str, dockerfile: Path, context: Path, scratch: Path) -> None:
    """Builds an image with buildah, in a store of its own, and brings it to a registry or an archive."""
    store: list[str | Path] = [
        "--root",
        scratch / "store",
        "--runroot",
        scratch / "run",
        "--storage-driver",
        "vfs",
    ]
    commands: tuple[list[str | Path], ...] = (
        ["bud", "--isolation", "chroot", "-f", dockerfile, "-t", reference, context],
        ["push", "--tls-verify=false", reference, target],
    )
    for command in commands:
        subprocess.run(["buildah", *store, *command], check=True, capture_output=True)


def make_certificate(certificate: Path, key: Path, address: str = processes.LOOPBACK) -> None:
    """Makes a key and a certificate for an address that is its own authority."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry",
         "-addext", f"subjectAltName=IP:{address}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip


@dataclasses.dataclass
class TokenService:
    """A service that signs the tokens which a registry wants.

    Attributes:
        url: its realm.
        certificate: what the registry verifies with.
        lifetime_seconds: how long a token is good for.
        asked: the queries that came, and whether with a login.
    """

    url: str
    certificate: Path
    lifetime_seconds: int = 60
    asked: list[tuple[dict[str, list[str]], bool]] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def token_service(folder: Path) -> Iterator[TokenService]:
    """Runs a token service on loopback: whoever has the password may do anything, nobody else may pull `private/…`."""
    folder.mkdir(parents=True)
    certificate, key = folder / "token.crt", folder / "token.key"
    make_certificate(certificate, key)
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            given = self.headers.get("authorization")
            service.asked.append((query, given is not None))
            if given not in (None, expected):
                self.send_error(401)
                return
            body = json.dumps({"token": _token(query, given == expected, service, key)}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    service = TokenService("", certificate)
    with webserver.serving(Handler) as port:
        service.url = f"http://127.0.0.1:{port}/token"
        yield service


def _token(query: Mapping[str, Sequence[str]], is_known: bool, service: TokenService, key: Path) -> str:
    kind, name, actions = query["scope"][0].split(":")
    # Pushing is granted with pulling: oras asks once, for what it does first.
    open_to_all = (
        [] if name.startswith("private/") else [action for action in actions.split(",") if action == "pull"]
    )
    granted = ["pull", "push"] if is_known else open_to_all
    now = int(time.time())
    certificate = "".join(service.certificate.read_text().split("-----")[2].split())
    head = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
    body = {
        "iss": _ISSUER, "sub": USER, "aud": query["service"][0], "jti": str(now), "nbf": now - 1, "iat": now,
        "exp": now + service.lifetime_seconds, "access": [{"type": kind, "name": name, "actions": granted}],
    }  # fmt: skip
    signed = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(body).encode())}"
    signature = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", key], input=signed.encode(), check=True, capture_output=True
    ).stdout
    return f"{signed}.{_encoded(signature)}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
