"""Makes the keys and certificates of an instance with openssl: three authorities and what they sign.

Called once at the start of an instance. Keys are P-256 because they are made in milliseconds. Everything is below the
instance's own folder, readable by its owner only, and goes with it.
"""

import dataclasses
from pathlib import Path

from devcluster import commands, config

# Longer than anybody keeps a development cluster.
_DAYS = "3650"
# openssl's own configuration would make every certificate an authority.
_OPENSSL_CONFIGURATION = "[req]\ndistinguished_name = name\n[name]\n"

CLUSTER_AUTHORITY = "cluster-ca"
# Signs for etcd only, so that no certificate of the cluster opens its store.
STORE_AUTHORITY = "etcd-ca"
# Signs for the aggregation layer only: whoever holds its certificate may speak for any user.
FRONT_PROXY_AUTHORITY = "front-proxy-ca"


@dataclasses.dataclass(frozen=True)
class Certificate:
    """One certificate: whom it names and who signs it.

    Attributes:
        name: of its files, NAME.crt and NAME.key.
        common_name: the user, for clients.
        group: the user's group, "" for none.
        alternatives: the names and addresses of a server, as in "IP:10.96.0.1"; empty for a client.
    """

    name: str
    authority: str
    common_name: str
    group: str = ""
    alternatives: tuple[str, ...] = ()


def wanted(instance: config.Instance) -> list[Certificate]:
    """List the certificates that an instance needs."""
    address = instance.network.node_address
    listed = [
        Certificate("etcd", STORE_AUTHORITY, "etcd", alternatives=("IP:127.0.0.1", "DNS:localhost")),
        Certificate("etcd-client", STORE_AUTHORITY, "kube-apiserver"),
        Certificate(
            "apiserver", CLUSTER_AUTHORITY, "kube-apiserver", alternatives=_api_server_names(address)
        ),
        Certificate("front-proxy-client", FRONT_PROXY_AUTHORITY, "front-proxy-client"),
        Certificate("admin", CLUSTER_AUTHORITY, "administrator", "system:masters"),
        Certificate("controller-manager", CLUSTER_AUTHORITY, "system:kube-controller-manager"),
        # Its key signs the tokens of service accounts, and the certificate carries the public half.
        Certificate("service-account", CLUSTER_AUTHORITY, "service-account-tokens"),
    ]
    if instance.options.control_plane_only:
        return listed
    node = instance.layout.name
    service = "metrics-server.kube-system.svc"
    return [
        *listed,
        Certificate("scheduler", CLUSTER_AUTHORITY, "system:kube-scheduler"),
        Certificate(
            "apiserver-kubelet-client", CLUSTER_AUTHORITY, "kube-apiserver-kubelet-client", "system:masters"
        ),
        Certificate("kubelet-client", CLUSTER_AUTHORITY, f"system:node:{node}", "system:nodes"),
        Certificate("kubelet", CLUSTER_AUTHORITY, node, alternatives=(f"IP:{address}", f"DNS:{node}")),
        Certificate("kube-proxy", CLUSTER_AUTHORITY, "system:kube-proxy"),
        Certificate("coredns", CLUSTER_AUTHORITY, "modelyard:coredns"),
        Certificate("metrics-server-client", CLUSTER_AUTHORITY, "modelyard:metrics-server"),
        Certificate(
            "metrics-server", CLUSTER_AUTHORITY, service, alternatives=(f"DNS:{service}", f"IP:{address}")
        ),
    ]


def make(instance: config.Instance) -> None:
    """Make the authorities and the certificates."""
    folder = instance.layout.certificates
    folder.mkdir(mode=0o700, parents=True)
    configuration = folder / "openssl.cnf"
    configuration.write_text(_OPENSSL_CONFIGURATION)
    for authority in (CLUSTER_AUTHORITY, STORE_AUTHORITY, FRONT_PROXY_AUTHORITY):
        commands.run(["openssl", *authority_arguments(authority, folder, configuration)])
    for certificate in wanted(instance):
        commands.run(["openssl", *certificate_arguments(certificate, folder, configuration)])


def authority_arguments(name: str, folder: Path, configuration: Path) -> list[str]:
    """Give the arguments of openssl that make a self-signed authority."""
    return [
        *_request(name, folder, configuration, f"/CN=modelyard-{name}"),
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    ]


def certificate_arguments(certificate: Certificate, folder: Path, configuration: Path) -> list[str]:
    """Give the arguments of openssl that make a key and the certificate for it, signed by its authority."""
    group = f"/O={certificate.group}" if certificate.group else ""
    # etcd connects to itself with its own server certificate, so that every server may be a client too.
    usage = "serverAuth,clientAuth" if certificate.alternatives else "clientAuth"
    arguments = [
        *_request(certificate.name, folder, configuration, f"{group}/CN={certificate.common_name}"),
        "-CA",
        str(folder / f"{certificate.authority}.crt"),
        "-CAkey",
        str(folder / f"{certificate.authority}.key"),
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-addext",
        f"extendedKeyUsage={usage}",
    ]
    if certificate.alternatives:
        arguments += ["-addext", f"subjectAltName={','.join(certificate.alternatives)}"]
    return arguments


def _request(name: str, folder: Path, configuration: Path, subject: str) -> list[str]:
    return [
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", _DAYS),
        *("-config", str(configuration), "-subj", subject),
        *("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")),
    ]


def _api_server_names(address: str) -> tuple[str, ...]:
    names = [
        "DNS:localhost",
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        f"DNS:kubernetes.default.svc.{config.DOMAIN}",
        "IP:127.0.0.1",
        f"IP:{config.API_SERVICE_ADDRESS}",
    ]
    return tuple(dict.fromkeys([*names, f"IP:{address}"]))
