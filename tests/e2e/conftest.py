"""One cluster for all end-to-end tests: images built and loaded, chart installed; evidence kept when a test fails.

`E2E_KEEP=1` leaves the cluster up afterwards; `CLUSTER=current|kind|devcluster` chooses which kind; `E2E_NAME=…` names
it, so that two runs can go on beside each other.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from demo import install, storage
from demo import kubectl as kubectl_module
from devcluster import clusters
from tests.support import evidence

NAME = os.environ.get("E2E_NAME", "modelyard-e2e")
RESULTS = Path("test-results")


@pytest.fixture(scope="session")
def cluster() -> Iterator[clusters.Cluster]:
    """A real cluster; the embedded one goes with this process even when the run is killed."""
    kind = clusters.choose(os.environ)
    keep = bool(os.environ.get("E2E_KEEP"))
    cluster = (
        clusters.up(NAME, bound=not keep) if kind == clusters.DEVCLUSTER else clusters.provide(kind, NAME)
    )
    yield cluster
    if not keep:
        cluster.down()


@pytest.fixture(scope="session")
def images(cluster: clusters.Cluster) -> install.Images:
    """Both images and the demo's S3 server, in the cluster."""
    return install.load_images(cluster)


@pytest.fixture(scope="session")
def chart(images: install.Images) -> list[str]:
    """The arguments of the helm command that installs the chart under test."""
    return install.chart_arguments(images)


@pytest.fixture(scope="session")
def kubectl(cluster: clusters.Cluster, chart: list[str]) -> kubectl_module.Kubectl:
    """kubectl for that cluster, with the operator running in it."""
    client = install.client(cluster)
    client.run_helm(*chart)
    return client


@pytest.fixture(scope="module")
def namespace(kubectl: kubectl_module.Kubectl, images: install.Images) -> Iterator[str]:
    """A namespace of the module's own that enforces the restricted Pod Security Standard, with an S3 server in it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    install.make_namespace(kubectl, name)
    storage.deploy(kubectl, name, images.storage)
    yield name
    if not os.environ.get("E2E_KEEP"):
        kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """A plain HTTP client."""
    with httpx.Client(timeout=30) as client:
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Keep the cluster's state when a test, or what it needs, has failed."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):  # type: ignore[attr-defined]
        client = item.funcargs.get("kubectl")
        if isinstance(client, kubectl_module.Kubectl):
            folder = evidence.collect(client, RESULTS / item.name.replace("/", "_"))
            report.sections.append(("cluster", f"state and logs are in {folder}"))  # type: ignore[attr-defined]
    return report
