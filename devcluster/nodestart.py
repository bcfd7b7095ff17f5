"""Starts the node of an instance. Called by `startup`."""

from devcluster import config, errors


def prepare(instance: config.Instance) -> None:
    """Refuse: only control planes can be started so far."""
    raise errors.DevclusterError(
        f"instance {instance.layout.name}: add --control-plane-only; nodes come next"
    )


def start(instance: config.Instance) -> None:
    """Refuse likewise."""
    prepare(instance)
