"""Brings an instance up or down, and tells how it is, whatever state it is found in.

Called by `clusters` and the command line. `up` makes the instance be as asked: one that runs well stays as it is,
anything else is removed first. An `up` that fails, or is interrupted, removes what it started.
"""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from devcluster import (
    api,
    binaries,
    config,
    errors,
    health,
    locks,
    network,
    packages,
    preflight,
    processes,
    progress,
    records,
    removal,
    startup,
    toolchain,
)

# Certificates, etcd's files, containers' layers of a handful of images.
_STATE_BYTES = 2 * 1024**3


@dataclasses.dataclass(frozen=True)
class Status:
    """How an instance is.

    Attributes:
        problem: why it does not work; "" when it does.
    """

    name: str
    problem: str
    layout: config.Layout
    record: records.Record | None


def layout_of(name: str) -> config.Layout:
    """Give the layout of instance `name` on this machine."""
    try:
        return config.layout(name, os.environ, os.geteuid() == 0)
    except ValueError as reason:
        raise errors.DevclusterError(str(reason)) from None


def up(name: str, options: config.Options, bound: bool = False) -> tuple[config.Layout, config.Network]:
    """Make instance `name` run as `options` say and give its layout and addresses.

    Args:
        name: of the instance.
        options: what it consists of.
        bound: to this process: once it is gone, the next `up` or `down` of any instance removes this one.

    Raises:
        DevclusterError: it cannot; nothing of it is left then.
    """
    layout = layout_of(name)
    _check(layout, options)
    names = (
        binaries.CONTROL_PLANE if options.control_plane_only else (*binaries.CONTROL_PLANE, *binaries.NODE)
    )
    paths = toolchain.resolve(names)
    with _alone(layout):
        configuration = records.configuration(options, paths, Path(__file__).parent)
        found = status(name)
        if not found.problem and found.record is not None and found.record.configuration == configuration:
            progress.line("done", f"instance {name} is already up")
            _take_over(layout, found.record, bound)
            return layout, found.record.network
        if removal.has_leftovers(layout):
            reason = found.problem or "it has another configuration"
            with progress.step(f"removing the old instance {name}", f"old instance {name} removed: {reason}"):
                removal.remove(layout)
        with _removed_on_failure(layout):
            owner = processes.this_process() if bound else None
            record = _claim(layout, records.Record(0, options, configuration, records.STARTING, owner))
            startup.start(config.Instance(layout, options, record.slot, record.network, paths))
            records.write(layout, dataclasses.replace(record, phase=records.RUNNING))
    return layout, record.network


def down(name: str) -> bool:
    """Remove instance `name` with everything it left, and tell whether there was anything."""
    layout = layout_of(name)
    _remove_orphans(layout)
    found = False
    with _alone(layout):
        if removal.has_leftovers(layout):
            found = True
            with progress.step(f"removing instance {name}", f"instance {name} removed"):
                removal.remove(layout)
    return found


def status(name: str) -> Status:
    """Tell how instance `name` is."""
    layout = layout_of(name)
    record = records.read(layout)
    if record is None:
        left = "it was cut short, or is of another version: `up` or `down` removes it"
        problem = left if removal.has_leftovers(layout) else "it is not up"
        return Status(name, problem, layout, None)
    if record.phase != records.RUNNING:
        return Status(name, "its start was interrupted", layout, record)
    dead = [process.name for process in processes.recorded(layout) if not processes.is_alive(process)]
    if dead:
        return Status(name, f"{', '.join(dead)} ended", layout, record)
    client = api.client(layout, record.network)
    if not client.is_ready():
        return Status(name, "its API server is not ready", layout, record)
    if not record.options.control_plane_only and not health.is_node_ready(client, name):
        return Status(name, "its node is not ready", layout, record)
    return Status(name, "", layout, record)


def names() -> list[str]:
    """List the instances on this machine, running or left over."""
    return records.instances(config.state_root(os.environ, os.geteuid() == 0))


def _check(layout: config.Layout, options: config.Options) -> None:
    preflight.require_linux()
    if not options.control_plane_only:
        preflight.require_root()
        packages.require("node")
    packages.require("certificates")
    preflight.require_writable(layout.root.parent, "MODELYARD_STATE")
    preflight.require_space(layout.root.parent, _STATE_BYTES, f"starting instance {layout.name}")


def _claim(layout: config.Layout, unplaced: records.Record) -> records.Record:
    """Take a slot and write the record, before anything else exists."""
    with locks.hold(layout.root.parent / "slots.lock", "chooses its addresses", wait=True):
        record = dataclasses.replace(unplaced, slot=network.choose_slot(layout, unplaced.options))
        records.write(layout, record)
    return record


@contextlib.contextmanager
def _alone(layout: config.Layout) -> Iterator[None]:
    """Hold the lock of an instance; afterwards remove the folders around it that have become empty."""
    try:
        with locks.hold(layout.lock, f"starts or removes instance {layout.name}", wait=False):
            yield
    finally:
        locks.sweep(layout.root.parent)
        with contextlib.suppress(OSError):
            layout.root.parent.rmdir()
            # The one around it may be the user's choice: ours only by its name.
            if layout.root.parent.parent.name == config.DEFAULT_NAME:
                layout.root.parent.parent.rmdir()


def _take_over(layout: config.Layout, record: records.Record, bound: bool) -> None:
    """Bind a running instance to this process, or to none; one that stays until it is taken down does stay."""
    if record.owner is not None:
        owner = processes.this_process() if bound else None
        records.write(layout, dataclasses.replace(record, owner=owner))


def _remove_orphans(layout: config.Layout) -> None:
    """Remove the other instances that were bound to a process which is gone, as of a killed test run."""
    for name in records.neighbours(layout):
        orphan = layout_of(name)
        record = records.read(orphan)
        if record is None or record.owner is None or processes.is_alive(record.owner):
            continue
        done = f"instance {name} removed: the run that started it is gone"
        # Whoever holds its lock is removing it, or has just made it anew.
        with (
            contextlib.suppress(errors.BusyError),
            _alone(orphan),
            progress.step(f"removing instance {name}", done),
        ):
            removal.remove(orphan)


@contextlib.contextmanager
def _removed_on_failure(layout: config.Layout) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # A second Ctrl-C would leave half of it; the removal takes a second or two.
        with (
            _uninterrupted(),
            progress.step(f"removing instance {layout.name}", "what was started is removed"),
        ):
            removal.remove(layout)
        raise


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    previous: dict[int, Callable[..., object] | int | None] = {}
    try:
        for interruption in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # only the main thread has signals
                previous[interruption] = signal.signal(interruption, signal.SIG_IGN)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
