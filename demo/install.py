"""Puts Modelyard into a cluster: images, chart, namespaces.

Called by the demo and the end-to-end tests, so that both install the product the same way: images from the one
Dockerfile, the chart with helm.
"""

import dataclasses
from pathlib import Path

from demo import kubectl as kubectl_module
from devcluster import clusters, images, toolchain

RELEASE = "modelyard"
SYSTEM_NAMESPACE = "modelyard-system"
TARGETS = ("operator", "runtime", "demo-s3")
_CHART = Path(__file__).parent.parent / "charts" / "modelyard"


@dataclasses.dataclass(frozen=True)
class Images:
    """References of the loaded images, as pods must name them."""

    operator: str
    runtime: str
    storage: str


def client(cluster: clusters.Cluster) -> kubectl_module.Kubectl:
    """Give kubectl and helm for `cluster`."""
    return kubectl_module.Kubectl(cluster.kubeconfig, toolchain.binary("kubectl"), toolchain.binary("helm"))


def load_images(cluster: clusters.Cluster) -> Images:
    """Build what changed, put it into the cluster's nodes, and give the references that pods must name."""
    references = {target: cluster.load_image(images.build(target)) for target in TARGETS}
    return Images(
        operator=references["operator"], runtime=references["runtime"], storage=references["demo-s3"]
    )


def chart_arguments(loaded: Images, *more: str) -> list[str]:
    """Give the arguments of the helm command that installs or upgrades the chart and waits for the operator."""
    repository, _, tag = loaded.operator.rpartition(":")
    return [
        "upgrade",
        "--install",
        RELEASE,
        str(_CHART),
        f"--namespace={SYSTEM_NAMESPACE}",
        "--create-namespace",
        "--wait",
        "--timeout=120s",
        f"--set=operator.image.repository={repository}",
        f"--set=operator.image.tag={tag}",
        f"--set=runtimeClasses.default.image={loaded.runtime}",
        *more,
    ]


def make_namespace(kubectl: kubectl_module.Kubectl, name: str) -> None:
    """Make a namespace that admits only pods of the restricted Pod Security Standard."""
    kubectl.apply(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n"
        f"  name: {name}\n"
        "  labels: {pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/warn: restricted}\n"
    )
