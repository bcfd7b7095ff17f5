"""The chart's rights are those that the operator uses: not one less, not one more, by the API server's own audit log.

The operator runs as a process with the service account that the chart makes, through everything it ever does: create,
update, drift, autoscaler, history, stop, delete, election. What it asked for is compared with what it was given.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import clusters
from tests.support import audit_trail, chart_rights, cluster_apiserver, privilege_story

RELEASE = "modelyard-system"


@pytest.fixture(scope="module")
def control_plane() -> Iterator[clusters.Devcluster]:
    """An API server of this module's own: its audit log holds nothing else."""
    found = clusters.up(f"{privilege_story.INSTANCE}-it", control_plane_only=True, bound=True)
    try:
        yield found
    finally:
        found.down()


@pytest.fixture(scope="module")
def account(
    control_plane: clusters.Devcluster, tmp_path_factory: pytest.TempPathFactory
) -> privilege_story.Account:
    """What a life of the operator has used."""
    folder = tmp_path_factory.mktemp("privilege")
    return asyncio.run(privilege_story.live(control_plane.kubeconfig, folder, RELEASE))


def test_no_right_is_missing(control_plane: clusters.Devcluster, account: privilege_story.Account) -> None:
    assert audit_trail.read(control_plane.audit_log, account.user).denied == frozenset()


def test_every_right_that_is_given_is_used_and_every_one_that_is_used_is_given(
    control_plane: clusters.Devcluster, account: privilege_story.Account
) -> None:
    used = audit_trail.read(control_plane.audit_log, account.user).used
    given = chart_rights.of_the_operator(account.manifests)
    assert given - used == set(), "given and never used"
    assert used - given == set(), "used and not in the chart: somebody else gave it"


def test_the_api_server_agrees_about_what_the_service_account_may_do(
    account: privilege_story.Account,
) -> None:
    assert account.reviewed == chart_rights.of_the_operator(account.manifests)


def test_the_operator_has_no_wildcard_and_none_of_the_rights_that_lead_further(
    account: privilege_story.Account,
) -> None:
    given = chart_rights.of_the_operator(account.manifests)
    assert {(verb, name) for verb, name in given if "*" in verb or "*" in name} == set()
    forbidden = (
        "secrets",
        "pods/exec",
        "pods/attach",
        "serviceaccounts",
        "nodes",
        "namespaces",
        "rbac.",
        "webhook",
    )
    assert {name for _verb, name in given for word in forbidden if word in name} == set()
    assert {verb for verb, name in given if name == "core/pods"} <= {"get", "list", "watch", "delete"}
    assert {verb for verb, _name in given} & {"escalate", "bind", "impersonate", "deletecollection"} == set()


def test_with_a_list_of_namespaces_there_is_no_right_for_the_whole_cluster() -> None:
    manifests = chart_rights.render(RELEASE, "watchNamespaces={team-a,team-b}")
    bound = [each for each in manifests if each["kind"] == "ClusterRoleBinding"]
    assert bound == []
    places = {each["metadata"]["namespace"] for each in manifests if each["kind"] == "RoleBinding"}
    assert places - {RELEASE} == {"team-a", "team-b"}
    assert chart_rights.of_the_operator(manifests) == chart_rights.of_the_operator(
        chart_rights.render(RELEASE)
    )


def test_the_service_account_of_the_models_pods_may_do_nothing(account: privilege_story.Account) -> None:
    assert account.reviewed_of_pods == set()


def test_the_pods_of_a_model_get_no_token(account: privilege_story.Account) -> None:
    # As the API server's own admission leaves them: where a token is wanted, it adds a volume for it.
    assert account.pod["spec"]["automountServiceAccountToken"] is False
    volumes = [volume for volume in account.pod["spec"]["volumes"] if "emptyDir" not in volume]
    assert volumes == []


def test_the_audit_log_would_show_a_denied_request(
    control_plane: clusters.Devcluster, tmp_path: Path
) -> None:
    async def ask() -> None:
        async with cluster_apiserver.connect(control_plane.kubeconfig) as (backend, _cluster):
            await privilege_story.ask_as(backend, "curious", "/api/v1/namespaces/default/secrets")

    asyncio.run(ask())
    user = "system:serviceaccount:default:curious"
    trail = audit_trail.read(control_plane.audit_log, user)
    assert trail.denied == {("list", "core/secrets")}
