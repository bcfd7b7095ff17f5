"""Every name, address, port and path of an instance, derived from its name and its slot. Pure.

An instance is one cluster on this machine. Its *slot* is the small number that keeps it apart from its neighbours: node
address, pod addresses, host link and loopback ports follow from it. The name proposes a slot and the start takes the
next free one when a neighbour or the machine's own network is in the way.
"""

import dataclasses
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

DEFAULT_NAME = "modelyard"
SLOTS = 64
DOMAIN = "cluster.local"
# Each instance has its own network namespace, so that all may use the same Service addresses.
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
# Below the range from which Linux takes the ports of outgoing connections (32768), so that none can be in the way.
_FIRST_LOOPBACK_PORT = 23400
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?")


@dataclasses.dataclass(frozen=True)
class Options:
    """What `up` was asked for.

    Attributes:
        control_plane_only: etcd and API server on loopback ports, no node, no root needed.
        controllers: with control_plane_only, the controller manager too (garbage collection, Deployments).
    """

    control_plane_only: bool = False
    controllers: bool = False


@dataclasses.dataclass(frozen=True)
class Network:
    """Addresses and ports of one slot.

    Attributes:
        host_address: the machine's end of the link to the cluster; None without a namespace.
        node_address: where the API server and node ports are reached.
        pod_cidr: addresses of pods; the machine has a route to them.
        host_link: name of the machine's end of the link.
    """

    host_address: str | None
    node_address: str
    pod_cidr: str
    host_link: str
    api_port: int
    etcd_port: int
    etcd_peer_port: int

    @property
    def subnet(self) -> str:
        """The subnet of the link between the machine and the node."""
        return f"{self.node_address.rsplit('.', 1)[0]}.0/30"

    @property
    def api_url(self) -> str:
        """Where clients on this machine reach the API server."""
        return f"https://{self.node_address}:{self.api_port}"


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where an instance keeps its things; all below `root`, which `down` removes."""

    name: str
    root: Path

    @property
    def record(self) -> Path:
        """What was started, as which slot, in which configuration."""
        return self.root / "instance.json"

    @property
    def lock(self) -> Path:
        """Held while an `up` or `down` of this instance runs; beside the folder, because that is removed."""
        return self.root.with_name(f"{self.name}.lock")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def processes(self) -> Path:
        """One file for each process that was started."""
        return self.root / "processes"

    @property
    def logs(self) -> Path:
        """One log for each component, the audit log, and the pods' logs."""
        return self.root / "logs"

    @property
    def audit_log(self) -> Path:
        """What the API server was asked, by whom, at level Metadata."""
        return self.logs / "audit.log"

    @property
    def certificates(self) -> Path:
        """Keys and certificates."""
        return self.root / "certificates"

    @property
    def configuration(self) -> Path:
        """Configuration files of the components."""
        return self.root / "configuration"

    @property
    def images(self) -> Path:
        """One file for each image that was loaded, with its key."""
        return self.root / "images"

    @property
    def bin(self) -> Path:
        """Links to this instance's binaries, for containerd, which looks for its shim on PATH."""
        return self.root / "bin"

    @property
    def namespace(self) -> Path:
        """The file that holds the network namespace; below `root`, so that nothing of it is anywhere else."""
        return self.root / "network-namespace"

    @property
    def cgroup(self) -> str:
        """Name of the cgroup, at the top of every hierarchy, that holds the pods."""
        return f"modelyard-{self.name}"


@dataclasses.dataclass(frozen=True)
class Instance:
    """All there is to know to start one instance.

    Attributes:
        slot: what `network` follows from.
        binaries: path of each binary by name.
    """

    layout: Layout
    options: Options
    slot: int
    network: Network
    binaries: Mapping[str, Path]


def layout(name: str, environ: Mapping[str, str], is_root: bool) -> Layout:
    """Give the layout of instance `name`.

    Raises:
        ValueError: the name cannot be a node's name.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(
            f"instance name {name!r} is not possible: 1 to 30 lower-case letters, digits and '-', "
            "starting and ending with a letter or digit"
        )
    return Layout(name, state_root(environ, is_root) / name)


def state_root(environ: Mapping[str, str], is_root: bool) -> Path:
    """Give the folder of all instances: MODELYARD_STATE, else /var/lib/modelyard, else the user's own state folder."""
    chosen = environ.get("MODELYARD_STATE")
    if chosen:
        base = Path(chosen)
    elif is_root:
        base = Path("/var/lib/modelyard")
    else:
        home = Path(environ.get("HOME", "/"))
        base = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "modelyard"
    return base / "devcluster"


def cache_root(environ: Mapping[str, str]) -> Path:
    """Give the folder of built binaries and images."""
    chosen = environ.get("MODELYARD_CACHE")
    if chosen:
        return Path(chosen)
    home = Path(environ.get("HOME", "/"))
    return Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "modelyard"


def slot_order(name: str) -> list[int]:
    """Give all slots in the order in which instance `name` tries them."""
    first = zlib.crc32(name.encode()) % SLOTS
    return [(first + step) % SLOTS for step in range(SLOTS)]


def namespaced(slot: int) -> Network:
    """Give the network of a full instance, which lives in a network namespace of its own."""
    return Network(
        host_address=f"10.89.{slot}.1",
        node_address=f"10.89.{slot}.2",
        pod_cidr=f"10.90.{slot}.0/24",
        host_link=f"modelyard{slot}",
        api_port=6443,
        etcd_port=2379,
        etcd_peer_port=2380,
    )


def loopback(slot: int) -> Network:
    """Give the network of a control plane without a node: three loopback ports of the machine."""
    first = _FIRST_LOOPBACK_PORT + 3 * slot
    return Network(
        host_address=None,
        node_address="127.0.0.1",
        pod_cidr=f"10.90.{slot}.0/24",
        host_link="",
        api_port=first,
        etcd_port=first + 1,
        etcd_peer_port=first + 2,
    )
