"""Removes an instance, whole or half made, running or dead: processes, mounts, network, cgroups, folder.

Called by `down`, by an `up` that failed, and by an `up` that finds the leftovers of a killed one. Every step looks at
what there is and never at what there should be; so it can be repeated, and picks up where a killed removal stopped. The
folder goes last: as long as there is one, there may be something to remove.
"""

import shutil

from devcluster import cgroups, config, host, mounts, network, processes, records


def has_leftovers(layout: config.Layout) -> bool:
    """Tell whether anything of an instance is on the machine."""
    return (
        layout.root.exists()
        or bool(processes.members(layout))
        or any((top / layout.cgroup).exists() for top in cgroups.hierarchies())
    )


def remove(layout: config.Layout) -> None:
    """Remove everything of an instance; nothing happens when there is nothing.

    Raises:
        DevclusterError: something resists; with what to do.
    """
    record = records.read(layout)
    processes.end_all(layout)
    network.delete(record.network if record else None)
    mounts.unmount_below(layout.root)
    cgroups.remove(layout.cgroup)
    host.release(layout)
    if layout.root.exists():
        shutil.rmtree(layout.root)
