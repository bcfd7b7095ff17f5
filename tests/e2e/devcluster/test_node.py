"""A node that does what nodes do: hardened pods, probes, Services, DNS, logs, exec, metrics, admission."""

import json
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import httpx
import pytest

from devcluster import clusters, embedded, images, toolchain
from tests.support import waiting

NAMESPACE = textwrap.dedent(
    """
    apiVersion: v1
    kind: Namespace
    metadata: {name: probe, labels: {pod-security.kubernetes.io/enforce: restricted}}
    """
)
WEB = textwrap.dedent(
    """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: probe}
    spec:
      replicas: 2
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          automountServiceAccountToken: false
          securityContext:
            runAsNonRoot: true
            runAsUser: 10001
            fsGroup: 10001
            seccompProfile: {type: RuntimeDefault}
          containers:
            - name: web
              image: IMAGE
              command: [python3, -u, -c]
              args:
                - |
                  import http.server, os
                  class Name(http.server.BaseHTTPRequestHandler):
                      def do_GET(self):
                          self.send_response(200)
                          self.end_headers()
                          self.wfile.write(os.environ["HOSTNAME"].encode())
                  http.server.ThreadingHTTPServer(("", 8080), Name).serve_forever()
              ports: [{name: http, containerPort: 8080}]
              readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
              resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {memory: 128Mi}}
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities: {drop: [ALL]}
              volumeMounts: [{name: disk, mountPath: /disk}, {name: memory, mountPath: /memory}]
          volumes:
            - {name: disk, emptyDir: {}}
            - {name: memory, emptyDir: {medium: Memory, sizeLimit: 16Mi}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: probe}
    spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
    """
)


class Kubectl:
    """kubectl against the node of this module."""

    def __init__(self, kubeconfig: Path) -> None:
        self._command = [str(toolchain.binary("kubectl")), f"--kubeconfig={kubeconfig}", "--namespace=probe"]

    def attempt(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl, which may fail."""
        return subprocess.run(
            [*self._command, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        finished = self.attempt(*arguments, stdin=stdin)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    def object(self, *arguments: str) -> Any:
        """Get an object."""
        return json.loads(self("get", *arguments, "--output=json"))


@pytest.fixture(scope="module")
def built() -> images.Image:
    """An image with Python in it."""
    return images.build("operator")


@pytest.fixture(scope="module")
def image(node: clusters.Devcluster, built: images.Image) -> str:
    """Its name, when it is loaded into the node."""
    return node.load_image(built)


@pytest.fixture(scope="module")
def kubectl(node: clusters.Devcluster, image: str) -> Kubectl:
    """kubectl, with a hardened Deployment rolled out behind a Service."""
    kubectl = Kubectl(node.kubeconfig)
    kubectl("apply", "--filename=-", stdin=NAMESPACE)
    kubectl("apply", "--filename=-", stdin=WEB.replace("IMAGE", image))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    return kubectl


def _answer(url: str) -> str:
    return httpx.get(url, timeout=5).raise_for_status().text


def test_a_node_port_answers_from_outside_the_cluster(node: clusters.Devcluster, kubectl: Kubectl) -> None:
    port = kubectl.object("service", "web")["spec"]["ports"][0]["nodePort"]
    assert _answer(f"http://{node.address}:{port}/").startswith("web-")


def test_a_pod_reaches_every_pod_through_the_service_by_name(kubectl: Kubectl) -> None:
    asking = (
        "import urllib.request as u\n"
        "print({u.urlopen('http://web.probe.svc.cluster.local/').read().decode() for _ in range(40)})"
    )
    names = {pod["metadata"]["name"] for pod in kubectl.object("pods")["items"]}
    said = kubectl("exec", "deployment/web", "--", "python3", "-c", asking)
    assert all(name in said for name in names)
    assert len(names) == 2


def test_a_name_outside_the_cluster_fails_at_once(kubectl: Kubectl) -> None:
    asking = (
        "import socket, time\nstart = time.monotonic()\n"
        "try: socket.getaddrinfo('example.com', 80)\n"
        "except OSError: print(time.monotonic() - start)"
    )
    assert float(kubectl("exec", "deployment/web", "--", "python3", "-c", asking)) < 1


def test_a_pod_reaches_this_machine(node: clusters.Devcluster, kubectl: Kubectl) -> None:
    asking = f"import socket\ns = socket.socket()\ns.settimeout(5)\nprint(s.connect_ex(('{node.host_address}', 1)))"
    assert (
        kubectl("exec", "deployment/web", "--", "python3", "-c", asking).strip() == "111"
    )  # refused: it got there


def test_logs_are_shown(kubectl: Kubectl) -> None:
    waiting.eventually(
        lambda: "GET /" in kubectl("logs", "deployment/web"), "the probe's requests in the log"
    )


def test_seccomp_and_the_read_only_root_are_in_force(kubectl: Kubectl) -> None:
    status = kubectl("exec", "deployment/web", "--", "cat", "/proc/1/status")
    assert "Seccomp:\t2" in status
    assert "CapEff:\t0000000000000000" in status
    refused = kubectl.attempt("exec", "deployment/web", "--", "touch", "/x")
    assert "Read-only file system" in refused.stderr


def test_metrics_of_pods_and_node_are_shown(node: clusters.Devcluster, kubectl: Kubectl) -> None:
    def top() -> str:
        return kubectl.attempt("top", "pods", "--no-headers").stdout.strip()

    shown = waiting.eventually(top, "metrics of the pods", 60)
    assert shown.startswith("web-")
    assert kubectl("top", "node", "--no-headers").startswith(node.name)


def test_a_pod_that_is_not_hardened_is_refused(kubectl: Kubectl, image: str) -> None:
    refused = kubectl.attempt("run", "plain", f"--image={image}")
    assert 'violates PodSecurity "restricted' in refused.stderr


def test_requests_are_in_the_audit_log_without_their_content(
    node: clusters.Devcluster, kubectl: Kubectl
) -> None:
    kubectl("create", "secret", "generic", "hidden", "--from-literal=password=tell-nobody")
    log = embedded.layout_of(node.name).logs / "audit.log"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    created = [
        event
        for event in events
        if event["verb"] == "create" and event.get("objectRef", {}).get("resource") == "secrets"
    ]
    assert created
    assert "tell-nobody" not in log.read_text()


def test_the_same_image_is_loaded_once(
    node: clusters.Devcluster, built: images.Image, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert node.load_image(built) == image
    assert "loaded" not in capsys.readouterr().out


def test_up_again_finds_it_running(node: clusters.Devcluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert clusters.up(node.name, bound=True) == node
    assert capsys.readouterr().out.strip().endswith(f"instance {node.name} is already up")
