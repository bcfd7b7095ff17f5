"""What a machine shows of clusters that run: processes, mounts, network namespaces, links. For "leaves nothing" tests."""

import dataclasses
import json
import subprocess
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Footprint:
    """One look at the machine; two of them can be compared."""

    processes: frozenset[str]
    mounts: frozenset[str]
    network_namespaces: frozenset[str]
    links: frozenset[str]


def take(of: str) -> Footprint:
    """Look at the machine; of processes only those count whose command line names `of`."""
    return Footprint(
        processes=frozenset(_processes(of)),
        mounts=frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        network_namespaces=frozenset(path.name for path in Path("/run/netns").glob("*")),
        links=frozenset(link["ifname"] for link in json.loads(_output("ip", "-json", "link"))),
    )


def _processes(of: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if of in words:
            found.append(f"{folder.name} {words}")
    return found


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
