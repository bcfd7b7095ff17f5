"""What the components of an instance are told: flags, files, certificates, objects."""

import base64
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from devcluster import addons, certificates, config, controlplane, kubeconfig, node, records
from tests.unit.devcluster import instances


def _flags(arguments: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (argument.partition("=") for argument in arguments)}


def test_a_control_plane_alone_keeps_to_loopback_and_its_own_ports(tmp_path: Path) -> None:
    instance = instances.instance(tmp_path, control_plane_only=True)
    server = _flags(controlplane.api_server(instance))
    assert server["--bind-address"] == "127.0.0.1"
    assert server["--secure-port"] == str(instance.network.api_port)
    assert server["--endpoint-reconciler-type"] == "none"
    assert "--kubelet-client-certificate" not in server
    assert _flags(controlplane.controller_manager(instance))["--secure-port"] == "0"
    store = _flags(controlplane.etcd(instance))
    assert store["--listen-client-urls"] == f"https://127.0.0.1:{instance.network.etcd_port}"
    assert "--client-cert-auth" in store


def test_with_a_node_the_api_server_listens_at_the_node_and_checks_the_kubelets_certificate(
    tmp_path: Path,
) -> None:
    server = _flags(controlplane.api_server(instances.instance(tmp_path)))
    assert server["--bind-address"] == "10.89.7.2"
    assert server["--kubelet-certificate-authority"].endswith("cluster-ca.crt")
    assert server["--authorization-mode"] == "Node,RBAC"
    assert "--disable-admission-plugins" not in server


def test_every_file_a_component_names_is_one_that_is_made(tmp_path: Path) -> None:
    instance = instances.instance(tmp_path)
    arguments = [
        *controlplane.etcd(instance),
        *controlplane.api_server(instance),
        *controlplane.controller_manager(instance),
        *addons.metrics(instance),
        json.dumps(node.kubelet_configuration(instance, unified_cgroups=True)),
    ]
    named = set(re.findall(rf"{instance.layout.certificates}/([\w.-]+)", " ".join(arguments)))
    made = {
        f"{certificate.name}.{kind}"
        for certificate in certificates.wanted(instance)
        for kind in ("crt", "key")
    }
    made |= {f"{name}.crt" for name in ("cluster-ca", "etcd-ca", "front-proxy-ca")}
    assert named <= made
    assert len(named) > 10


def test_the_audit_log_never_holds_the_content_of_an_object() -> None:
    assert [rule["level"] for rule in controlplane.audit_policy()["rules"]] == ["Metadata"]


def test_certificates_are_signed_by_their_authority_for_their_names(tmp_path: Path) -> None:
    instance = instances.instance(tmp_path, control_plane_only=True)
    certificates.make(instance)
    folder = instance.layout.certificates
    for certificate in certificates.wanted(instance):
        authority, signed = folder / f"{certificate.authority}.crt", folder / f"{certificate.name}.crt"
        subprocess.run(["openssl", "verify", "-CAfile", authority, signed], check=True, capture_output=True)
    shown = subprocess.run(
        [
            "openssl",
            "x509",
            "-in",
            folder / "apiserver.crt",
            "-noout",
            "-ext",
            "subjectAltName,basicConstraints",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "IP Address:10.96.0.1" in shown
    assert "CA:FALSE" in shown
    assert folder.stat().st_mode & 0o077 == 0


def test_the_administrators_kubeconfig_is_whole_and_private(tmp_path: Path) -> None:
    content = kubeconfig.build_embedded("x", "https://127.0.0.1:1", b"CA", b"CERT", b"KEY")
    kubeconfig.write(tmp_path / "kubeconfig", content)
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o777 == 0o600
    read = json.loads((tmp_path / "kubeconfig").read_text())
    assert base64.b64decode(read["users"][0]["user"]["client-key-data"]) == b"KEY"
    assert read["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    assert read["current-context"] == read["contexts"][0]["name"] == "x"


def test_containerd_pulls_nothing_and_keeps_to_the_instances_folder(tmp_path: Path) -> None:
    instance = instances.instance(tmp_path)
    read = tomllib.loads(node.containerd_configuration(instance))
    assert read["version"] == 3
    assert Path(read["root"]).is_relative_to(instance.layout.root)
    runtime = read["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is True
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is False
    pinned = read["plugins"]["io.containerd.cri.v1.images"]["pinned_images"]
    assert pinned == {"sandbox": node.PAUSE_IMAGE}


@pytest.mark.parametrize("unified", [True, False])
def test_the_kubelet_accepts_old_cgroups_only_where_there_are_old_ones(tmp_path: Path, unified: bool) -> None:
    instance = instances.instance(tmp_path)
    told = node.kubelet_configuration(instance, unified)
    assert ("failCgroupV1" not in told) is unified
    assert told["cgroupRoot"] == f"/{instance.layout.cgroup}"
    assert told["authentication"]["anonymous"] == {"enabled": False}


def test_pods_get_addresses_of_their_own_instance(tmp_path: Path) -> None:
    instance = instances.instance(tmp_path)
    plugin = node.network_configuration(instance)["plugins"][0]
    assert plugin["ipam"]["ranges"] == [[{"subnet": "10.90.7.0/24"}]]


def test_dns_and_metrics_lead_to_the_node(tmp_path: Path) -> None:
    listed = dict(addons.objects(instances.instance(tmp_path), "Q0E="))
    service = listed["/api/v1/namespaces/kube-system/services/kube-dns"]
    assert service["spec"]["clusterIP"] == config.DNS_SERVICE_ADDRESS
    assert "selector" not in service["spec"]
    slices = [content for content in listed.values() if content["kind"] == "EndpointSlice"]
    assert {content["endpoints"][0]["addresses"][0] for content in slices} == {"10.89.7.2"}
    assert listed[addons.METRICS_GROUP]["spec"]["caBundle"] == "Q0E="


def test_add_ons_may_only_read() -> None:
    listed = addons.objects(instances.instance(Path("/s")), "")
    rules = [rule for _, content in listed if content["kind"] == "ClusterRole" for rule in content["rules"]]
    assert {verb for rule in rules for verb in rule["verbs"]} <= {"get", "list", "watch"}
    assert not any("secrets" in rule["resources"] or "*" in rule["resources"] for rule in rules)


def test_names_outside_the_cluster_are_not_asked_for(tmp_path: Path) -> None:
    assert "forward" not in addons.dns_configuration(instances.instance(tmp_path))


def test_a_record_survives_writing_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    layout = config.Layout("x", tmp_path / "x")
    assert records.read(layout) is None
    record = records.Record(3, config.Options(), "abc", records.STARTING, None)
    records.write(layout, record)
    assert records.read(layout) == record
    assert record.network == config.namespaced(3)
    assert records.Record(
        3, config.Options(control_plane_only=True), "", "", None
    ).network == config.loopback(3)
    layout.record.write_text('{"slot": 3, "opt')
    assert records.read(layout) is None
    layout.record.write_text('{"of": "another version"}')
    assert records.read(layout) is None


def test_a_configuration_differs_by_options_binaries_and_the_deciding_modules(tmp_path: Path) -> None:
    for name in records._DECIDING_MODULES:
        (tmp_path / f"{name}.py").write_text("")
    full, paths = config.Options(), {"etcd": Path("/a")}
    same = records.configuration(full, paths, tmp_path)
    assert same == records.configuration(full, dict(paths), tmp_path)
    others = {
        records.configuration(config.Options(control_plane_only=True), paths, tmp_path),
        records.configuration(full, {"etcd": Path("/b")}, tmp_path),
    }
    (tmp_path / "node.py").write_text("x = 1\n")
    others.add(records.configuration(full, paths, tmp_path))
    assert len({same, *others}) == 4
