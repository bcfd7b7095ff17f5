"""What campaigns stand on: a control plane of their own, and cases spread over lanes."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from devcluster import clusters
from tests.support import cluster_apiserver
from tests.torture import campaign

Lane = TypeVar("Lane")
Case = TypeVar("Case")
Result = TypeVar("Result")


@contextmanager
def control_plane(name: str) -> Iterator[Path]:
    """Give the administrator's kubeconfig of a real control plane that has the CRD, for as long as the block lasts."""
    instance = clusters.up(instance_name(name), control_plane_only=True, bound=True)
    try:
        asyncio.run(install(instance.kubeconfig))
        yield instance.kubeconfig
    finally:
        instance.down()


def instance_name(name: str) -> str:
    """Give the devcluster's name of a campaign in this process."""
    return f"t-{name}-{os.getpid()}"


async def install(kubeconfig: Path) -> None:
    """Install the CRD."""
    async with cluster_apiserver.connect(kubeconfig) as (backend, _cluster):
        await backend.install_crd()


async def spread(
    lanes: Sequence[Lane], work: Sequence[Case], play: Callable[[Lane, Case], Awaitable[Result]]
) -> list[Result]:
    """Let the lanes take the cases as they come; give the results in the order of the cases."""
    waiting = list(enumerate(work))[::-1]
    results: dict[int, Result] = {}

    async def drive(lane: Lane) -> None:
        while waiting:
            index, case = waiting.pop()
            results[index] = await play(lane, case)

    async with asyncio.TaskGroup() as group:
        for lane in lanes:
            group.create_task(drive(lane))
    return [results[index] for index in range(len(work))]


def with_rest(rows: Sequence[campaign.Row | None], name: str) -> list[campaign.Row]:
    """Give the rows that there are, and one more for the cases that no time was left for."""
    done = [row for row in rows if row is not None]
    left = len(rows) - len(done)
    if left:
        print(f"  {name}: {left} of {len(rows)} cases were not started: the time was used up", flush=True)
    return done
