"""Runs kubectl and helm against one cluster and says in one sentence what went wrong when they fail.

Called by the demo and the end-to-end tests. It must never fall back to the machine's own current context: the
kubeconfig is always given.
"""

import contextlib
import dataclasses
import json
import os
import queue
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


class CommandError(Exception):
    """A command against the cluster failed; the message is the command and what it said."""


@dataclasses.dataclass(frozen=True)
class Kubectl:
    """kubectl and helm for one kubeconfig.

    Attributes:
        kubeconfig: file that names the cluster and the credentials.
        kubectl: path of the kubectl binary.
        helm: path of the helm binary.
    """

    kubeconfig: Path
    kubectl: Path
    helm: Path

    def run(self, *arguments: str, stdin: str | None = None, timeout_seconds: float = 120) -> str:
        """Run `kubectl ARGUMENTS` and give what it printed.

        Raises:
            CommandError: with kubectl's own words.
        """
        return self._execute([str(self.kubectl), *arguments], stdin, timeout_seconds)

    def run_helm(self, *arguments: str, timeout_seconds: float = 300) -> str:
        """Run `helm ARGUMENTS` and give what it printed."""
        return self._execute([str(self.helm), *arguments], None, timeout_seconds)

    def get(self, *arguments: str) -> Any:
        """Run `kubectl get ARGUMENTS` and give the object or list as plain data."""
        return json.loads(self.run("get", *arguments, "--output=json"))

    def apply(self, manifest: str, *arguments: str) -> str:
        """Apply one YAML or JSON text server-side, as a user with GitOps would."""
        return self.run(
            "apply", "--server-side", "--force-conflicts", "--filename=-", *arguments, stdin=manifest
        )

    def exists(self, *arguments: str) -> bool:
        """Tell whether `kubectl get ARGUMENTS` finds anything."""
        return self.run("get", *arguments, "--ignore-not-found", "--output=name").strip() != ""

    def can(self, verb: str, resource: str, user: str) -> bool:
        """Tell whether `user` may do `verb` on `resource`, as the API server's authorizer sees it."""
        # `kubectl auth can-i` says no by its exit code too, so the review is asked for directly.
        namespaced, _, subresource = resource.partition("/")
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "resourceAttributes": {"verb": verb, "resource": namespaced, "subresource": subresource},
            },
        }
        answer = self.run("create", "--filename=-", "--output=json", stdin=json.dumps(review))
        return bool(json.loads(answer)["status"]["allowed"])

    @contextlib.contextmanager
    def forwarded_port(self, namespace: str, target: str, port: int) -> Iterator[int]:
        """Hold `kubectl port-forward` to `target` open and give the local port."""
        process = subprocess.Popen(
            [str(self.kubectl), "port-forward", f"--namespace={namespace}", target, f":{port}"],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: queue.Queue[str] = queue.Queue()
        # Reads until the end, so that kubectl never blocks on a full pipe.
        reader = threading.Thread(target=_copy_lines, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            yield _local_port(lines, f"{namespace}/{target}")
        finally:
            process.terminate()
            process.wait(timeout=10)
            reader.join(timeout=10)
            if process.stdout is not None:
                process.stdout.close()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def _execute(self, command: list[str], stdin: str | None, timeout_seconds: float) -> str:
        said = " ".join([Path(command[0]).name, *command[1:]])
        try:
            finished = subprocess.run(
                command,
                input=stdin,
                env=self._environment(),
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandError(f"`{said}` did not finish within {timeout_seconds:.0f} s") from None
        if finished.returncode != 0:
            raise CommandError(f"`{said}` failed: {finished.stderr.strip() or finished.stdout.strip()}")
        return finished.stdout


def _copy_lines(stream: IO[str] | None, lines: queue.Queue[str]) -> None:
    for line in stream or ():
        lines.put(line)


def _local_port(lines: queue.Queue[str], target: str) -> int:
    try:
        line = lines.get(timeout=20)
    except queue.Empty:
        raise CommandError(f"kubectl port-forward to {target} said nothing for 20 s") from None
    match = re.search(r"127\.0\.0\.1:(\d+)", line)
    if match is None:
        raise CommandError(f"kubectl port-forward to {target} failed: {line.strip()}")
    return int(match.group(1))
