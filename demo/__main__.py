"""`python -m demo up|down`: the whole product on a real cluster, told step by step. `make demo` and `make demo-down`.

The order of the steps is the order of a newcomer's life with Modelyard: a cluster, the chart, a trained model in a
bucket, one ModelDeployment, predictions. It must never show a number it did not get from a pod through its Service.
"""

import argparse
import os
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from demo import install, predictions, service, storage, tampering
from demo import kubectl as kubectl_module
from devcluster import clusters, errors, progress
from examples import train

NAME = "modelyard"
NAMESPACE = "modelyard-demo"
_PINNED = "forest"  # the other model's digest is what its first pod loads
_EXAMPLES = Path(__file__).parent.parent / "examples"


def main() -> int:
    """Run the command on the command line and give the exit code: 0, or 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="Modelyard on a real cluster, step by step."
    )
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--name", default=NAME, help="name of the demo's own cluster (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        (up if arguments.command == "up" else down)(arguments.name)
    except (errors.DevclusterError, kubectl_module.CommandError) as error:
        print(f"\nThe demo could not go on: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nStopped. `make demo-down` removes what is there; `make demo` goes on from here.",
            file=sys.stderr,
        )
        return 130
    return 0


def up(name: str) -> None:
    """Bring everything up, predict, compare, and say what to type next."""
    start = time.monotonic()
    print("A cluster, and the two images in it:")
    cluster = clusters.provide(clusters.choose(os.environ), name=name)
    kubectl = install.client(cluster)
    loaded = install.load_images(cluster)

    print("\nModelyard, a bucket, and two trained models:")
    with progress.step(
        "installing the operator with helm", "the operator runs, installed by one `helm install`"
    ):
        kubectl.run_helm(*install.chart_arguments(loaded))
    with progress.step("starting an S3 server", "a real S3 server runs in the cluster"):
        install.make_namespace(kubectl, NAMESPACE)
        storage.deploy(kubectl, NAMESPACE, loaded.storage)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with progress.step(
            "training", "two models trained with scikit-learn: y = 2x + 1, and a forest of 100 trees"
        ):
            models = [train.train_line(folder), train.train_forest(folder)]
        with progress.step("publishing", "both files published to S3"):
            storage.publish(kubectl, NAMESPACE, {_key(model): model.path for model in models})
        _serve(kubectl, models)
        print("\n" + kubectl.run("get", "mdep", f"--namespace={NAMESPACE}").rstrip())
        _tamper(kubectl, models, folder)
    print(_what_next(kubectl, cluster, time.monotonic() - start))


def _serve(kubectl: kubectl_module.Kubectl, models: Sequence[train.TrainedModel]) -> None:
    """Serve the models and compare what they answer with scikit-learn's own."""
    print("\nTwo ModelDeployments, the forest's pinned to its digest:")
    with progress.step("waiting for condition Ready", "applied with kubectl, and Ready"):
        for model in models:
            kubectl.apply(_manifest(model), f"--namespace={NAMESPACE}")
        names = [f"mdep/{model.name}" for model in models]
        kubectl.run(
            "wait",
            "--for=condition=Ready",
            *names,
            f"--namespace={NAMESPACE}",
            "--timeout=180s",
            timeout_seconds=200,
        )
    for model in models:
        with progress.step(
            f"predicting with {model.name}",
            f"{model.name} answered through its Service, equal to scikit-learn's own",
        ):
            told = _checked_predictions(kubectl, model)
        print(f"      {told}")


def _tamper(kubectl: kubectl_module.Kubectl, models: Sequence[train.TrainedModel], folder: Path) -> None:
    """Show what the status says of a tampered file, and that the pods with the right one serve on."""
    print("\nSomebody overwrites both files in the bucket, and each model is asked for one more pod:")
    for model in models:
        with (
            progress.step(
                f"waiting for the status of {model.name}", f"{model.name}: refused, and the old pods serve on"
            ),
            tampering.overwritten(kubectl, NAMESPACE, model, _key(model), folder) as told,
        ):
            _checked_predictions(kubectl, model)
        print(_indented(told))
    print("\nSomebody uploads a pickle that would run a command when it is loaded:")
    with progress.step("waiting for its status", "refused, and nothing of it was run"):
        told = tampering.refusal_of_a_command(kubectl, NAMESPACE, folder)
    print(_indented(told) + "\n")


def _indented(text: str) -> str:
    """Give a long sentence as it is shown under its step."""
    return textwrap.fill(text, width=120, initial_indent="      ", subsequent_indent="      ")


def down(name: str) -> None:
    """Remove everything the demo made: the cluster when it is the demo's own, else chart, CRD and namespaces."""
    kind = clusters.choose(os.environ)
    if kind == "current":
        with progress.step("removing the demo", "chart, CRD and namespaces are gone; the cluster stays"):
            _remove_from(install.client(clusters.provide(kind, name=name)))
        return
    clusters.remove(kind, name=name)


def _key(model: train.TrainedModel) -> str:
    return f"{model.name}/{model.path.name}"


def _manifest(model: train.TrainedModel) -> str:
    """Give the example's manifest, the forest's pinned to the file just trained, reachable from outside the cluster."""
    body: dict[str, Any] = yaml.safe_load((_EXAMPLES / f"{model.name}.yaml").read_text())
    if model.name == _PINNED:
        body["spec"]["model"]["digest"] = model.digest
    body["spec"]["service"] = {"type": "NodePort"}
    return yaml.safe_dump(body, sort_keys=False)


def _checked_predictions(kubectl: kubectl_module.Kubectl, model: train.TrainedModel) -> str:
    """Predict the model's rows in the cluster, compare with scikit-learn, and tell both in a line.

    Raises:
        CommandError: when a single prediction differs.
    """
    body = {"X": model.rows}
    served = service.post(kubectl, NAMESPACE, model.name, "/predict", body)["y_pred"]
    wrong = predictions.differences(served, predictions.expected(model))
    if wrong:
        raise kubectl_module.CommandError(
            f"{model.name} predicts other values than scikit-learn: {'; '.join(wrong)}"
        )
    return f"{len(served)} rows: {predictions.shown(served)}"


def _what_next(kubectl: kubectl_module.Kubectl, cluster: clusters.Cluster, seconds: float) -> str:
    address = service.node_address(kubectl, NAMESPACE, "line")
    lines = [f"All of it took {seconds:.0f} s. Try it yourself:", ""]
    if address is None:
        lines.append(f"  kubectl --namespace={NAMESPACE} port-forward service/line 8080:80 &")
    url = address.url if address else "http://127.0.0.1:8080"
    lines += [
        f"  curl {url}/predict -H 'content-type: application/json' -d '{{\"X\": [1, 2, 3]}}'",
        f"  curl {url}/v2/models/line",
        "",
        f"  export KUBECONFIG={cluster.kubeconfig}",
        f"  {kubectl.kubectl} --namespace={NAMESPACE} describe mdep forest",
        f"  {kubectl.kubectl} explain mdep.spec.model",
        "",
        "  make demo-down        removes everything",
    ]
    return "\n".join(lines)


def _remove_from(kubectl: kubectl_module.Kubectl) -> None:
    kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", timeout_seconds=130)
    kubectl.run_helm(
        "uninstall",
        install.RELEASE,
        f"--namespace={install.SYSTEM_NAMESPACE}",
        "--ignore-not-found",
        "--wait",
    )
    kubectl.run("delete", "crd", "modeldeployments.modelyard.dev", "--ignore-not-found", "--timeout=60s")
    kubectl.run(
        "delete",
        "namespace",
        install.SYSTEM_NAMESPACE,
        "--ignore-not-found",
        "--timeout=120s",
        timeout_seconds=130,
    )


if __name__ == "__main__":
    sys.exit(main())
