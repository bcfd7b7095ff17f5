"""The operator as a process, as its pod would run it: with the rights of the chart's own role and nothing else.

`started` runs one for a while; `cluster_supervisor` keeps one running; `faultproxy` stands between it and the API
server and breaks what it is told to.
"""

import asyncio
import base64
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.support import cluster_apiserver, cluster_world

_RBAC = Path("charts/modelyard/templates/rbac.yaml")
_LEASE = Path("charts/modelyard/templates/lease.yaml")
LEASE = "modelyard-operator"  # its name by default
_RBAC_PATH = "/apis/rbac.authorization.k8s.io/v1"


def chart_rules() -> list[dict[str, Any]]:
    """Give the rules of the operator's role as the chart has them."""
    match = re.search(r'define "modelyard.operatorRules" -}}\n(.*?){{- end', _RBAC.read_text(), re.DOTALL)
    assert match, f"{_RBAC} no longer defines modelyard.operatorRules"
    rules: list[dict[str, Any]] = yaml.safe_load(match[1])
    return rules


def chart_lease_rules() -> list[dict[str, Any]]:
    """Give the rules of the operator's role in its own namespace as the chart has them."""
    match = re.search(r'define "modelyard.leaseRules" -}}\n(.*?){{- end', _LEASE.read_text(), re.DOTALL)
    assert match, f"{_LEASE} no longer defines modelyard.leaseRules"
    text = match[1].replace('{{ include "modelyard.operatorName" . }}', LEASE)
    rules: list[dict[str, Any]] = yaml.safe_load(text)
    return rules


async def grant_lease(backend: cluster_apiserver.ApiBackend, namespace: str) -> None:
    """Give the service account of `grant` the chart's rights on the Lease, and make it as the chart does."""
    name = "lease"
    await backend.must(
        "POST",
        f"{_RBAC_PATH}/namespaces/{namespace}/roles",
        {"metadata": {"name": name}, "rules": chart_lease_rules()},
    )
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": f"operator-{namespace}", "namespace": namespace}],
    }
    await backend.must("POST", f"{_RBAC_PATH}/namespaces/{namespace}/rolebindings", binding)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    await backend.must("POST", path, {"metadata": {"name": LEASE}})


async def grant(backend: cluster_apiserver.ApiBackend, namespace: str, *, everywhere: bool) -> str:
    """Make a service account with the chart's rights, everywhere or in one namespace; give a token of it."""
    name = f"operator-{namespace}"
    where = "" if everywhere else f"/namespaces/{namespace}"
    kind = "ClusterRole" if everywhere else "Role"
    plural = kind.lower() + "s"
    account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    await backend.must("POST", accounts, {"metadata": {"name": name}})
    await backend.must(
        "POST", f"{_RBAC_PATH}{where}/{plural}", {"metadata": {"name": name}, "rules": chart_rules()}
    )
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [account],
    }
    await backend.must("POST", f"{_RBAC_PATH}{where}/{plural.replace('roles', 'rolebindings')}", binding)
    answer = await backend.must("POST", f"{accounts}/{name}/token", {"spec": {"expirationSeconds": 3600}})
    token: str = answer["status"]["token"]
    return token


def server_of(kubeconfig: Path, folder: Path) -> tuple[str, str]:
    """Give the server's address and a file with its certificate authority."""
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    if "certificate-authority" in cluster:
        return cluster["server"], str((kubeconfig.parent / cluster["certificate-authority"]).resolve())
    path = folder / "ca.crt"
    path.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    return cluster["server"], str(path)


def write_kubeconfig(path: Path, server: str, certificate_authority: str | None, token: str) -> Path:
    """Write a kubeconfig with a token and give its path."""
    cluster = {
        "server": server,
        **({"certificate-authority": certificate_authority} if certificate_authority else {}),
    }
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(body))
    return path


class Operator:
    """One operator process."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, port: int) -> None:
        self.process = process
        self._log = log
        self._port = port

    def log(self) -> list[dict[str, Any]]:
        """Give what it has logged so far."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    async def get(self, path: str) -> tuple[int, str]:
        """Ask its own port; (0, "") while nobody answers."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self._port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""

    async def until_ready(self) -> None:
        """Wait until it watches."""

        async def is_ready() -> bool:
            assert self.process.returncode is None, self._log.read_text()
            return (await self.get("/readyz"))[0] == 200

        await cluster_world.wait_until(is_ready, "the operator is ready")

    async def kill(self) -> None:
        """End it at once, as a lost node does; return when it is gone."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def exit_code(self, timeout_seconds: float = 30) -> int:
        """Wait for its end."""
        async with asyncio.timeout(timeout_seconds):
            return await self.process.wait()


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def spawn(kubeconfig: Path, log: Path, port: int, environment: dict[str, str]) -> Operator:
    """Start an operator process; its log is added to."""
    inherited = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "HOME") if key in os.environ}
    env = {
        **inherited,
        "KUBECONFIG": str(kubeconfig),
        "MODELYARD_RUNTIME_CLASSES": '{"default": {"image": "modelyard/runtime:test"}}',
        "MODELYARD_HEALTH_PORT": str(port),
        "MODELYARD_LEADER_ELECTION": "false",
        **environment,
    }
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "modelyard_operator", env=env, stdout=sink, stderr=sink
        )
    return Operator(process, log, port)


@asynccontextmanager
async def started(kubeconfig: Path, folder: Path, **environment: str) -> AsyncIterator[Operator]:
    """Run an operator for as long as the block lasts."""
    port = free_port()
    operator = await spawn(kubeconfig, folder / f"operator-{port}.log", port, environment)
    try:
        yield operator
    finally:
        await operator.kill()
