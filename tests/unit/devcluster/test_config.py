"""Names, addresses and folders of instances."""

from pathlib import Path

import pytest

from devcluster import config


@pytest.mark.parametrize("name", ["a", "modelyard", "it-4711", "a" * 30])
def test_a_node_name_is_an_instance_name(name: str) -> None:
    assert config.layout(name, {}, is_root=True).root == Path("/var/lib/modelyard/devcluster") / name


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "../x", "a/b", "a" * 31])
def test_any_other_name_is_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        config.layout(name, {}, is_root=True)


def test_state_is_where_the_environment_says_else_by_user() -> None:
    assert config.state_root({"MODELYARD_STATE": "/s"}, is_root=True) == Path("/s/devcluster")
    assert config.state_root({"HOME": "/h"}, is_root=False) == Path("/h/.local/state/modelyard/devcluster")
    assert config.state_root({"XDG_STATE_HOME": "/x", "HOME": "/h"}, is_root=False) == Path(
        "/x/modelyard/devcluster"
    )


def test_cache_is_where_the_environment_says_else_in_the_users_cache() -> None:
    assert config.cache_root({"MODELYARD_CACHE": "/c", "HOME": "/h"}) == Path("/c")
    assert config.cache_root({"XDG_CACHE_HOME": "/x", "HOME": "/h"}) == Path("/x/modelyard")
    assert config.cache_root({"HOME": "/h"}) == Path("/h/.cache/modelyard")


def test_a_name_tries_every_slot_once_and_always_in_the_same_order() -> None:
    order = config.slot_order("modelyard")
    assert sorted(order) == list(range(config.SLOTS))
    assert order == config.slot_order("modelyard")
    assert order != config.slot_order("other")


def test_no_two_slots_share_an_address_a_link_or_a_port() -> None:
    slots = range(config.SLOTS)
    namespaced = [config.namespaced(slot) for slot in slots]
    for values in (
        {network.node_address for network in namespaced},
        {network.pod_cidr for network in namespaced},
        {network.host_link for network in namespaced},
    ):
        assert len(values) == config.SLOTS
    ports = [
        port
        for network in map(config.loopback, slots)
        for port in (network.api_port, network.etcd_port, network.etcd_peer_port)
    ]
    assert len(set(ports)) == len(ports)
    assert max(ports) < 32768  # where Linux starts taking ports for outgoing connections


def test_a_link_name_fits_the_kernels_15_characters() -> None:
    assert max(len(config.namespaced(slot).host_link) for slot in range(config.SLOTS)) <= 15


def test_everything_of_an_instance_is_below_its_folder_but_for_the_lock() -> None:
    layout = config.layout("x", {"MODELYARD_STATE": "/s"}, is_root=True)
    inside = [
        layout.record,
        layout.kubeconfig,
        layout.processes,
        layout.logs,
        layout.namespace,
        layout.images,
    ]
    assert all(path.is_relative_to(layout.root) for path in inside)
    assert not layout.lock.is_relative_to(layout.root)
