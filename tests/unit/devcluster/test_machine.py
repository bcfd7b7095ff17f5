"""What devcluster reads from and writes to the machine: mounts, cgroups, routes, kernel parameters."""

from pathlib import Path

import pytest

from devcluster import cgroups, config, host, mounts, network
from tests.unit.devcluster import instances

MOUNTINFO = """\
22 1 8:1 / / rw - ext4 /dev/vda rw
30 22 0:4 net:[1] /s/x/network-namespace rw - nsfs nsfs rw
31 22 0:25 / /s/x/a\\040b rw - tmpfs tmpfs rw
32 31 0:26 / /s/x/a\\040b/inner rw - tmpfs tmpfs rw
33 22 0:27 / /s/xy rw - tmpfs tmpfs rw
"""


def test_mounts_below_a_folder_are_listed_from_the_inside_and_no_others() -> None:
    assert mounts.below(MOUNTINFO, Path("/s/x")) == ["/s/x/a b/inner", "/s/x/a b", "/s/x/network-namespace"]
    assert mounts.below(MOUNTINFO, Path("/s/xy")) == ["/s/xy"]


def test_the_private_view_becomes_the_program_itself(tmp_path: Path) -> None:
    command = mounts.private_view(tmp_path, ["containerd", "--config=c d"])
    assert command[0] == "unshare"
    assert command[-3:] == [str(tmp_path), "containerd", "--config=c d"]
    assert "exec" in command[command.index("-c") + 1]


def _hierarchy(root: Path, files: dict[str, str]) -> Path:
    root.mkdir(parents=True)
    for name, content in files.items():
        (root / name).write_text(content)
    return root


def test_a_cgroup_is_made_in_every_hierarchy_with_processors_and_memory(tmp_path: Path) -> None:
    cpuset = _hierarchy(tmp_path / "cpuset", {"cpuset.cpus": "0-1\n", "cpuset.mems": "0\n"})
    _hierarchy(tmp_path / "memory", {})
    (tmp_path / "cpu").symlink_to(cpuset)  # some systems have several names for one hierarchy
    (cpuset / "modelyard-x").mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):
        (cpuset / "modelyard-x" / name).write_text("")  # the kernel makes these
    cgroups.create("modelyard-x", tmp_path)
    assert (cpuset / "modelyard-x" / "cpuset.cpus").read_text() == "0-1\n"
    assert (tmp_path / "memory" / "modelyard-x").is_dir()
    assert cgroups.hierarchies(tmp_path) == [cpuset, tmp_path / "memory"]


def test_a_unified_cgroup_hands_down_the_controllers_that_there_are(tmp_path: Path) -> None:
    root = _hierarchy(
        tmp_path / "unified", {"cgroup.controllers": "cpu memory pids rdma\n", "cgroup.subtree_control": ""}
    )
    cgroups.create("modelyard-x", root)
    assert (root / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (root / "modelyard-x" / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_members_of_a_cgroup_are_found_at_any_depth(tmp_path: Path) -> None:
    pod = _hierarchy(tmp_path / "memory" / "modelyard-x" / "kubepods" / "pod1", {"cgroup.procs": "11\n12\n"})
    (tmp_path / "memory" / "modelyard-x" / "cgroup.procs").write_text("0\n")
    _hierarchy(tmp_path / "memory" / "modelyard-xy", {"cgroup.procs": "13\n"})
    assert cgroups.members("modelyard-x", tmp_path) == {11, 12}
    (pod / "cgroup.procs").unlink()
    (tmp_path / "memory" / "modelyard-x" / "cgroup.procs").unlink()
    cgroups.remove("modelyard-x", tmp_path)
    assert [path.name for path in (tmp_path / "memory").iterdir()] == ["modelyard-xy"]


ROUTES = '[{"dst":"default","gateway":"192.0.2.1"},{"dst":"10.89.7.0/24"},{"dst":"10.90.0.5"},{"type":"x"}]'


def test_a_slot_is_taken_when_a_route_covers_it_and_the_default_route_does_not_count() -> None:
    routes = network.destinations(ROUTES)
    assert routes == ["0.0.0.0/0", "10.89.7.0/24", "10.90.0.5"]
    assert network.overlap(config.namespaced(7), routes) == "10.89.7.0/24"
    assert network.overlap(config.namespaced(0), routes) == "10.90.0.5"
    assert network.overlap(config.namespaced(8), routes) is None
    assert network.overlap(config.namespaced(8), ["10.0.0.0/8"]) == "10.0.0.0/8"


def test_addresses_are_set_inside_the_namespace_and_pods_are_routed_to_it(tmp_path: Path) -> None:
    instance = instances.instance(tmp_path)
    commands = network.create_commands(instance.layout, instance.network)
    inside = [command for command in commands if command[0] == "nsenter"]
    assert any("10.89.7.2/30" in command for command in inside)
    assert ["ip", "route", "add", "10.90.7.0/24", "via", "10.89.7.2"] in commands
    assert not any("netns" in command and "exec" in command for command in commands)


def test_the_first_instance_borrows_from_the_machine_and_the_last_gives_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = tmp_path / "sys"
    (parameters / "vm").mkdir(parents=True)
    (parameters / "vm" / "overcommit_memory").write_text("0\n")
    there, absent = tmp_path / "there", tmp_path / "absent"
    there.mkdir()
    monkeypatch.setattr(host, "_PARAMETERS", parameters)
    monkeypatch.setattr(mounts, "FIXED_FOLDERS", {str(there): "a", str(absent): "b"})
    first, second = (config.Layout(name, tmp_path / "state" / name) for name in ("first", "second"))
    for layout in (first, second):
        layout.root.mkdir(parents=True)
        host.claim(layout, tmp_path / "place")
        (parameters / "vm" / "overcommit_memory").write_text("1\n")
    assert absent.is_dir()
    host.release(first, tmp_path / "place")
    assert absent.is_dir()
    assert (parameters / "vm" / "overcommit_memory").read_text() == "1\n"
    host.release(second, tmp_path / "place")
    assert (parameters / "vm" / "overcommit_memory").read_text() == "0"
    assert there.is_dir()
    assert not absent.exists()
    assert not (tmp_path / "place").exists()
