"""What helm makes of the chart: one or several operators, and the rights they get."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster import toolchain
from modelyard_operator import config, policyspec

NAME = "modelyard-operator"


@pytest.fixture(scope="module")
def helm() -> str:
    return str(toolchain.binary("helm"))


def rendered(helm: str, *values: str, release: str = "modelyard") -> list[dict[str, Any]]:
    """Give every object of the release."""
    sets = [f"--set={value}" for value in values]
    command = [helm, "template", release, "charts/modelyard", "--namespace=system", *sets]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [each for each in yaml.safe_load_all(text) if each]
    places = {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in found}
    assert len(places) == len(found), "two objects in one place"
    return found


def render(helm: str, *values: str, release: str = "modelyard") -> dict[tuple[str, str], dict[str, Any]]:
    """Give the objects of a release for the whole cluster by kind and name."""
    return {
        (each["kind"], each["metadata"]["name"]): each for each in rendered(helm, *values, release=release)
    }


def pod_spec(objects: dict[tuple[str, str], dict[str, Any]], name: str = NAME) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment", name]["spec"]["template"]["spec"]
    return spec


def environment(objects: dict[tuple[str, str], dict[str, Any]], name: str = NAME) -> dict[str, Any]:
    (container,) = pod_spec(objects, name)["containers"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_helm_finds_nothing_wrong_with_it(helm: str) -> None:
    subprocess.run([helm, "lint", "--strict", "charts/modelyard"], capture_output=True, check=True)


def test_by_default_one_operator_elects_itself_and_is_replaced_without_a_gap(helm: str) -> None:
    objects = render(helm)
    deployment = objects["Deployment", NAME]["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "affinity" not in pod_spec(objects)
    assert ("PodDisruptionBudget", NAME) not in objects
    assert {kind for kind, _name in objects}.isdisjoint({"PodMonitor", "NetworkPolicy"})


def test_only_what_a_restart_helps_restarts_it(helm: str) -> None:
    (container,) = pod_spec(render(helm))["containers"]
    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    # Unready while the API server can't be reached, which no restart mends.
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


@pytest.mark.parametrize("release", ["modelyard", "other", "a" * 53])
def test_the_lease_the_process_asks_for_is_the_one_the_chart_makes_and_allows(
    helm: str, release: str
) -> None:
    objects = render(helm, release=release)
    ((_kind, name),) = [key for key in objects if key[0] == "Lease"]
    (operator,) = [key[1] for key in objects if key[0] == "Deployment"]
    env = environment(objects, operator)
    assert env["MODELYARD_LEASE_NAME"] == name
    assert env["MODELYARD_LEASE_NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    assert "spec" not in objects["Lease", name]
    (role,) = [each for key, each in objects.items() if key[0] == "Role"]
    assert role["metadata"]["namespace"] == "system"
    assert role["rules"] == [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [name],
            "verbs": ["get", "update"],
        },
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    ]
    (binding,) = [each for key, each in objects.items() if key[0] == "RoleBinding"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert len(role["metadata"]["name"]) <= 63


def test_two_operators_keep_apart_and_are_not_drained_together(helm: str) -> None:
    objects = render(helm, "operator.replicas=2")
    assert objects["Deployment", NAME]["spec"]["replicas"] == 2
    (term,) = pod_spec(objects)["affinity"]["podAntiAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]
    selector = objects["Deployment", NAME]["spec"]["selector"]
    assert term["podAffinityTerm"]["labelSelector"] == selector
    budget = objects["PodDisruptionBudget", NAME]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": selector}


def test_a_flavour_is_offered_once_it_has_an_image(helm: str) -> None:
    chart = yaml.safe_load(Path("charts/modelyard/Chart.yaml").read_text())
    plain = config.from_env(_as_strings(environment(render(helm)))).runtime_classes
    assert {name: each.image for name, each in plain.items()} == {
        "default": f"modelyard/runtime:{chart['appVersion']}"
    }
    assert "sklearn" in plain["default"].formats
    values = ("runtimeClasses.keras.image=k:1", "runtimeClasses.mlflow.image=m:1")
    offered = config.from_env(_as_strings(environment(render(helm, *values)))).runtime_classes
    assert sorted(offered) == ["default", "keras", "mlflow"]
    assert (offered["keras"].image, offered["keras"].formats) == ("k:1", ("keras", "mlflow"))
    assert [name for name, each in offered.items() if each.allow_code] == ["mlflow"]


def test_the_rules_of_the_values_are_those_of_the_operator(helm: str, tmp_path: Path) -> None:
    assert config.from_env(_as_strings(environment(render(helm)))).policy == policyspec.Policy()
    values = tmp_path / "values.yaml"
    rules = {"requireDigest": ["prod-*"], "allowedURIs": {"*": ["s3://models/"]}, "maxReplicas": 3}
    classes = {"default": {"serviceAccountName": "models", "imagePullSecrets": [{"name": "registry"}]}}
    fetch = {"caBundle": "-----BEGIN CERTIFICATE-----\n", "fileRoots": []}
    values.write_text(yaml.safe_dump({"policy": rules, "runtimeClasses": classes, "fetch": fetch}))
    command = [helm, "template", "modelyard", "charts/modelyard", f"--values={values}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    objects = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(text) if each}
    settings = config.from_env(_as_strings(environment(objects)))
    assert settings.policy == policyspec.Policy(
        require_digest=("prod-*",), allowed_uris={"*": ("s3://models/",)}, max_replicas=3
    )
    assert settings.fetch == policyspec.Fetch(ca_bundle="-----BEGIN CERTIFICATE-----\n", file_roots=())
    offer = settings.runtime_classes["default"]
    assert (offer.service_account_name, offer.image_pull_secrets) == ("models", ("registry",))


def test_the_api_server_is_asked_for_nothing_unless_it_is_wanted(helm: str) -> None:
    for values, policies in (
        ((), set()),
        (("policy.admission.enabled=true",), {f"{NAME}-policy"}),
        (
            ("policy.admission.enabled=true", "policy.maxReplicas=3"),
            {f"{NAME}-policy", f"{NAME}-policy-scale"},
        ),
        (("policy.fenceOperator.enabled=true",), {f"{NAME}-fence", f"{NAME}-fence-pods"}),
    ):
        objects = render(helm, *values)
        assert {name for kind, name in objects if kind == "ValidatingAdmissionPolicy"} == policies
        bound = {
            each["spec"]["policyName"]
            for (kind, _name), each in objects.items()
            if kind == "ValidatingAdmissionPolicyBinding"
        }
        assert bound == policies
        assert not any("Webhook" in kind for kind, _name in objects)


@pytest.mark.parametrize(
    ("values", "allowed"),
    [
        ((), ""),
        (("artifactCache.type=HostPath",), "each.hostPath.path == '/var/cache/modelyard'"),
        (
            ("artifactCache.type=PersistentVolumeClaim", "artifactCache.claimName=cache"),
            "each.persistentVolumeClaim.claimName == 'cache'",
        ),
        (("runtimeClasses.default.serviceAccountName=models",), "in ['','default','models']"),
        (("runtimeClasses.default.image=r.example:5000/a/b:1@sha256:0",), "[a][/][b](:[A-Za-z0-9_.-]+)?"),
        (("policy.allowedImages={r.example/old/}",), "[r][.][e][x][a][m][p][l][e][/][o][l][d][/].*"),
    ],
)
def test_the_fence_lets_through_what_the_values_give_to_pods(
    helm: str, values: tuple[str, ...], allowed: str
) -> None:
    objects = render(helm, "policy.fenceOperator.enabled=true", *values)
    spec = objects["ValidatingAdmissionPolicy", f"{NAME}-fence-pods"]["spec"]
    text = " ".join(each["expression"] for each in (*spec["validations"], *spec["variables"]))
    assert allowed in text
    assert ("hostPath" in text) is ("HostPath" in "".join(values))


def _as_strings(environment: dict[str, Any]) -> dict[str, str]:
    """The variables with a value of their own; one from a field gets a name."""
    return {name: value if isinstance(value, str) else "system" for name, value in environment.items()}


def test_an_affinity_of_ones_own_is_left_alone(helm: str) -> None:
    objects = render(helm, "operator.replicas=2", "operator.affinity.nodeAffinity.x=y")
    assert pod_spec(objects)["affinity"] == {"nodeAffinity": {"x": "y"}}


def test_in_named_namespaces_the_lease_stays_in_the_operators_own(helm: str) -> None:
    objects = rendered(helm, "watchNamespaces={team-a,system}")
    roles = sorted(
        (each["metadata"]["namespace"], each["metadata"]["name"])
        for each in objects
        if each["kind"] == "Role"
    )
    assert roles == [("system", NAME), ("system", f"{NAME}-lease"), ("team-a", NAME)]
    assert [each for each in objects if each["kind"] == "ClusterRoleBinding"] == []


def test_monitoring_and_network_policy_are_there_when_asked_for(helm: str) -> None:
    objects = render(
        helm,
        "operator.podMonitor.enabled=true",
        "operator.podMonitor.labels.release=prometheus",
        "operator.networkPolicy.enabled=true",
    )
    monitor, policy = objects["PodMonitor", NAME], objects["NetworkPolicy", NAME]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (container,) = pod_spec(objects)["containers"]
    assert endpoint["port"] in {port["name"] for port in container["ports"]}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert policy["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": "health"}]}]
