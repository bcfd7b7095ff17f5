"""The network of an instance: a namespace of its own, one link to the machine, and which slots are free.

Called by the start and the removal of an instance. Rules, pod links and Service addresses stay in the namespace; the
machine gets one link and one route, no rule and no forwarding: nothing in the cluster reaches beyond the machine.
"""

import ipaddress
import json
import socket
from collections.abc import Iterable
from pathlib import Path

from devcluster import commands, config, errors, records

# Name of the link's end inside the namespace.
NODE_LINK = "eth0"


def choose_slot(layout: config.Layout, options: config.Options) -> int:
    """Give the first free slot for an instance. The caller holds the lock on slots.

    Raises:
        DevclusterError: all are taken.
    """
    taken = set(_slots_of_neighbours(layout))
    reasons = []
    for slot in config.slot_order(layout.name):
        if slot in taken:
            continue
        reason = _obstacle(slot, options)
        if reason is None:
            return slot
        reasons.append(reason)
    listed = "; ".join(reasons[:3]) or "each belongs to another instance"
    raise errors.DevclusterError(
        f"no free addresses for instance {layout.name}: {listed}. `python -m devcluster status` lists the instances; "
        "`python -m devcluster down --name NAME` removes one."
    )


def overlap(network: config.Network, routes: Iterable[str]) -> str | None:
    """Give the first of the machine's `routes` that covers addresses of `network`; default routes do not count."""
    ours = [ipaddress.ip_network(network.subnet), ipaddress.ip_network(network.pod_cidr)]
    for route in routes:
        other = ipaddress.ip_network(route, strict=False)
        if other.prefixlen > 0 and any(other.overlaps(mine) for mine in ours):
            return route
    return None


def destinations(listed: str) -> list[str]:
    """Give the IPv4 destinations in what `ip -json route` prints."""
    return [
        "0.0.0.0/0" if entry["dst"] == "default" else entry["dst"]
        for entry in json.loads(listed or "[]")
        if "dst" in entry
    ]


def create_commands(layout: config.Layout, network: config.Network) -> list[list[str]]:
    """Give the commands that make the namespace and its link."""
    inside = [*enter(layout), "ip"]
    return [
        # Held by its file and not by `ip netns`, which would leave a mount of its own on the machine.
        ["unshare", f"--net={layout.namespace}", "true"],
        *(["ip", *words] for words in _link_outside(layout, network)),
        [*inside, "address", "add", f"{network.node_address}/30", "dev", NODE_LINK],
        [*inside, "link", "set", NODE_LINK, "up"],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "route", "add", "default", "via", str(network.host_address)],
        # Pods answer this machine without any address translation.
        ["ip", "route", "add", network.pod_cidr, "via", network.node_address],
    ]


def create(layout: config.Layout, network: config.Network) -> None:
    """Make the namespace and its link to the machine."""
    layout.namespace.touch()
    for command in create_commands(layout, network):
        commands.run(command)


def delete(network: config.Network | None) -> None:
    """Delete the link when there is one; the namespace goes when its file is unmounted.

    Raises:
        DevclusterError: the link stays.
    """
    if network is None or not network.host_link or not _has_link(network.host_link):
        return
    # A namespace that is just going takes the link with it: then it is gone whoever was first.
    if not commands.succeeds(["ip", "link", "delete", network.host_link]) and _has_link(network.host_link):
        raise errors.DevclusterError(
            f"the network link {network.host_link} cannot be deleted; run `down` again"
        )


def enter(layout: config.Layout) -> list[str]:
    """Give the words before a command that run it in the namespace.

    `ip netns exec` would mount another /sys, in which the kubelet finds no cgroups.
    """
    return ["nsenter", f"--net={layout.namespace}", "--"]


def _link_outside(layout: config.Layout, network: config.Network) -> list[list[str]]:
    peer = ["peer", "name", NODE_LINK, "netns", str(layout.namespace)]
    return [
        ["link", "add", network.host_link, "type", "veth", *peer],
        ["address", "add", f"{network.host_address}/30", "dev", network.host_link],
        ["link", "set", network.host_link, "up"],
    ]


def _has_link(name: str) -> bool:
    return (Path("/sys/class/net") / name).exists()


def _slots_of_neighbours(layout: config.Layout) -> list[int]:
    slots = []
    for name in records.neighbours(layout):
        record = records.read(config.Layout(name, layout.root.parent / name))
        if record is not None:
            slots.append(record.slot)
    return slots


def _obstacle(slot: int, options: config.Options) -> str | None:
    """Give what stands in the way of a slot on this machine, or None."""
    if options.control_plane_only:
        network = config.loopback(slot)
        ports = (network.api_port, network.etcd_port, network.etcd_peer_port)
        busy = [port for port in ports if not _is_free(port)]
        return f"port {busy[0]} on 127.0.0.1 is in use" if busy else None
    network = config.namespaced(slot)
    routes = destinations(commands.run(["ip", "-json", "-4", "route", "show", "table", "all"]))
    covering = overlap(network, routes)
    if covering is not None:
        return f"{network.subnet} and {network.pod_cidr} overlap with the machine's route to {covering}"
    if _has_link(network.host_link):
        return f"the machine has a link {network.host_link}"
    return None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
