"""What the machine shows of clusters: compared before and after, so that whatever is left behind is seen.

Only what clusters make is compared; everything of the machine that they could touch is.
"""

import dataclasses
import json
import subprocess
from pathlib import Path

from devcluster import host, mounts, packages


@dataclasses.dataclass(frozen=True)
class Look:
    """One look at the machine."""

    processes: frozenset[str]
    mounts: frozenset[str]
    namespaces: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    cgroups: frozenset[str]
    folders: frozenset[str]
    parameters: frozenset[str]


def look(state: Path) -> Look:
    """Look at the machine; of processes, at those that name the state folder or carry it in their environment."""
    packages.require("node")  # the first look of a fresh machine comes before any cluster has installed `ip`
    return Look(
        processes=frozenset(_processes(str(state))),
        mounts=frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        namespaces=frozenset(_namespaces()),
        links=frozenset(link["ifname"] for link in _ip("link")),
        routes=frozenset(str(route.get("dst")) for route in _ip("-4", "route", "show", "table", "all")),
        cgroups=frozenset(str(path) for path in Path("/sys/fs/cgroup").glob("**/modelyard-*")),
        folders=frozenset(
            str(path)
            for path in (*map(Path, mounts.FIXED_FOLDERS), host.PLACE, state / "devcluster")
            if path.exists()
        ),
        parameters=frozenset(f"{name}={_parameter(name)}" for name in host.KERNEL_PARAMETERS),
    )


def differences(before: Look, after: Look) -> dict[str, list[str]]:
    """List what appeared or vanished, by kind; empty when nothing did."""
    return {
        field.name: changed
        for field in dataclasses.fields(Look)
        if (changed := sorted(getattr(before, field.name) ^ getattr(after, field.name)))
    }


def _processes(state: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            said = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes()
            is_zombie = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        # Ourselves, and who started us, have the folder in the environment because the test put it there.
        if state.encode() in said and not is_zombie and b"MODELYARD_DEVCLUSTER_INSTANCE" in said:
            found.append(f"{folder.name} {(folder / 'comm').read_text().strip()}")
    return found


def _namespaces() -> list[str]:
    """List the network namespaces that are held by a mount; those of processes go with them."""
    return [
        line.split()[3] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " nsfs " in line
    ]


def _ip(*arguments: str) -> list[dict[str, str]]:
    said = subprocess.run(["ip", "-json", *arguments], capture_output=True, text=True, check=True).stdout
    listed: list[dict[str, str]] = json.loads(said or "[]")
    return listed


def _parameter(name: str) -> str:
    path = Path("/proc/sys") / name
    return path.read_text().strip() if path.exists() else "absent"
