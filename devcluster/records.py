"""What an instance remembers of itself: slot, configuration, whether its start came to an end.

Called by the start, the removal and the status of an instance. The record is written before anything else is made, so
that a killed start can be cleaned up; written anew in one step, so that a killed write leaves the old one.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from devcluster import config, processes

# A change in one of these is a change of what a start would give.
_DECIDING_MODULES = (
    "addons",
    "certificates",
    "config",
    "controlplane",
    "mounts",
    "network",
    "node",
    "nodestart",
)

STARTING = "starting"
RUNNING = "running"


@dataclasses.dataclass(frozen=True)
class Record:
    """The record of one instance.

    Attributes:
        configuration: differs when a start would now give another cluster.
        phase: STARTING until everything answered once, then RUNNING.
        owner: the process without which the instance is nobody's; None when it stays until it is taken down.
    """

    slot: int
    options: config.Options
    configuration: str
    phase: str
    owner: processes.Process | None

    @property
    def network(self) -> config.Network:
        """The addresses that follow from slot and options."""
        chosen = config.loopback if self.options.control_plane_only else config.namespaced
        return chosen(self.slot)


def read(layout: config.Layout) -> Record | None:
    """Give an instance's record, or None when there is none or it is of another version of this program."""
    try:
        content = json.loads(layout.record.read_text())
        options = config.Options(**content["options"])
        owner = processes.Process(**content["owner"]) if content["owner"] else None
        return Record(**{**content, "options": options, "owner": owner})
    except (FileNotFoundError, json.JSONDecodeError, TypeError, KeyError):
        return None


def write(layout: config.Layout, record: Record) -> None:
    """Write an instance's record in one step."""
    layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = layout.record.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps(dataclasses.asdict(record)))
    unfinished.replace(layout.record)


def neighbours(layout: config.Layout) -> list[str]:
    """List the names of the other instances, running or left over."""
    return [name for name in instances(layout.root.parent) if name != layout.name]


def instances(folder: Path) -> list[str]:
    """List the names of all instances below `folder`, running or left over."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def configuration(options: config.Options, binaries: Mapping[str, Path], source: Path) -> str:
    """Give what tells one configuration from another: options, binaries and the code that decides the rest."""
    digest = hashlib.sha256(repr((options, sorted(binaries.items()))).encode())
    for name in _DECIDING_MODULES:
        digest.update((source / f"{name}.py").read_bytes())
    return digest.hexdigest()
