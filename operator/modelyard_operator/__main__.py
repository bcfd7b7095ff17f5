"""The operator's process: reads the environment, wires the parts together, and ends when one of them can't go on.

Exit codes: 0 after SIGTERM, 78 when the configuration can't be used, 75 when another operator has become the leader, 1
when the watch died or went deaf (the pod is restarted and starts from what is there).

All processes watch and are ready; only the leader works on its queue, and only while the fence is open it can write.
"""

import asyncio
import datetime
import gc
import importlib.metadata
import itertools
import logging
import os
import random
import secrets
import signal
import socket
import sys
from collections.abc import Mapping

import uvloop

from modelyard_operator import (
    cluster,
    config,
    connection,
    decoding,
    errors,
    fence,
    freshness,
    handlers,
    health,
    leadership,
    lease,
    logs,
    metrics,
    naming,
    pulse,
    reconciler,
    recorder,
    store,
    turnstile,
    watching,
    workqueue,
)

logger = logging.getLogger("modelyard_operator")

EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h
EXIT_NOT_LEADING = 75  # EX_TEMPFAIL: start anew and stand by
_CRD_POLL_SECONDS = 2.0
_CHILD_DELAY_SECONDS = 0.1  # one change of a Deployment comes as several events
_SYNC_POLL_SECONDS = 0.1
_SYNC_POLLS = 20
# How often children are looked for that no watch tells of; two calls for each resource.
_DOUBT_SECONDS = 3600.0
# Decoded manifests are thousands of objects that go by themselves, without the collector of cycles.
_YOUNG_OBJECTS = 50_000
_STOP_SECONDS = 15.0  # within the 30 s that a pod has by default


class _Operator:
    """The parts of one process and how they are started and stopped."""

    def __init__(self, settings: config.OperatorConfig, link: connection.Connection) -> None:
        self.settings = settings
        self.link = link
        self.metrics = metrics.Metrics(importlib.metadata.version("modelyard"))
        self.fence = fence.Fence() if settings.lease_namespace else fence.unfenced()
        self.cluster = cluster.ApiCluster(link, self.metrics, self.fence)
        self.memory = store.Store()
        candidacy = lease.Candidacy(settings.lease_namespace, settings.lease_name, _identity())
        told = recorder.Recorder(self.cluster.create_event, self.metrics, candidacy.identity, _stamp)
        turns = turnstile.Turnstile(self.memory.resources, self._wake)
        self.visits = reconciler.Reconciler(self.cluster, settings, _now, self.memory, told, turns)
        self.queue = workqueue.WorkQueue(self.visits.reconcile, self.metrics)
        self.pulse = pulse.Pulse()
        self.children = watching.Watching(link, settings.watch_namespaces, self.memory, self._child_changed)
        self.health = health.Health(self.metrics, self.pulse)
        self.leadership = leadership.Leadership(self.cluster, self.fence, candidacy, _stamp, self.pulse.beat)
        link.count = self.metrics.count_request
        self.metrics.leading.set_function(lambda: float(self.fence.seconds_left() > 0))
        self.metrics.watch_silence_seconds.read = self.children.silences
        self.metrics.store_objects.read = lambda: {
            kind: number for kind, (number, _bytes) in self.memory.counts().items()
        }
        self.metrics.store_bytes.read = lambda: {
            kind: size for kind, (_number, size) in self.memory.counts().items()
        }
        self.metrics.queue_oldest_seconds.set_function(self.queue.oldest_seconds)
        self.seen = freshness.Seen()
        self.begun, self.ready, self.stop = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Run until SIGTERM or until a part ends."""
        runner = await self.health.serve(self.settings.health_port)
        try:
            await self._wait_for_crd()
            await self._work()
        finally:
            self.health.set_ready(False)
            await runner.cleanup()
            await self.link.close()

    async def _work(self) -> None:
        guard = freshness.Guard(
            self.seen, self._versions, self.children.silent, self.settings.freshness_grace_seconds
        )
        workers = asyncio.create_task(self._reconcile(), name="workers")
        parts = [
            workers,
            asyncio.create_task(self._lead(), name="leadership"),
            asyncio.create_task(guard.watch(self.settings.freshness_interval_seconds), name="freshness"),
            asyncio.create_task(self.health.measure_lag(), name="loop lag"),
            asyncio.create_task(self._resync(), name="resync"),
            asyncio.create_task(self._announce(), name="announce"),
            asyncio.create_task(self.children.run(self.pulse.beat), name="children"),
        ]
        sink = handlers.Sink(self.seen, self.memory, self.queue.renew)
        resources = handlers.run(self.link, self.settings, sink, (self.begun, self.stop))
        watches = asyncio.create_task(resources, name="watches")
        parts.append(watches)
        done, _pending = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        self.health.set_ready(False)
        self.queue.stop()
        self.stop.set()
        # A reconcile that is under way may finish; cut short, it would be finished by the next process all the same.
        leads = self.leadership.leads.is_set()
        await asyncio.wait([workers, watches] if leads else [watches], timeout=_STOP_SECONDS)
        is_at_rest = workers.done()
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        if leads and is_at_rest:
            # A write that was cut short may still be carried out; then the Lease has to run out by itself.
            await self.leadership.give_back()
        for part in done:
            part.result()

    async def _lead(self) -> None:
        """Take part in the election once this process could do the work at once."""
        await self.ready.wait()
        if not self.settings.lease_namespace:
            self.leadership.leads.set()
            await self.stop.wait()
            return
        await self.leadership.run()

    async def _reconcile(self) -> None:
        """Work on the queue from when this process leads."""
        await self.leadership.leads.wait()
        self.health.watch_queue(self.queue.stuck_seconds)
        await self.queue.run(self.settings.workers)

    def _wake(self, key: tuple[str, str]) -> None:
        self.queue.add(key)

    def _child_changed(self, key: tuple[str, str]) -> None:
        self.queue.add_after(key, _CHILD_DELAY_SECONDS)

    async def _announce(self) -> None:
        """Take over the signals that kopf has installed, and say when the watches have brought what there is."""
        await self.begun.wait()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        await self.children.until_synced()
        await self._until_synced()
        self.ready.set()
        self.health.set_ready(True)
        logger.info("watching", extra={"namespaces": ",".join(self.settings.watch_namespaces) or "all"})
        await self.stop.wait()

    async def _until_synced(self) -> None:
        """Wait until kopf has brought every ModelDeployment there is: no visit may take one for missing."""
        while True:
            try:
                listed = await self._versions()
                for _ in range(_SYNC_POLLS):
                    if not self.seen.lacks(listed):
                        return
                    await asyncio.sleep(_SYNC_POLL_SECONDS)
            except errors.ClusterError:
                await asyncio.sleep(_CRD_POLL_SECONDS)
            # Something of the list may have gone before the watch began: list again.

    async def _resync(self) -> None:
        """Visit everything from time to time, and a share of it with a look for what the watches can't tell of."""
        await self._find_strays()
        shares = max(1, round(_DOUBT_SECONDS / self.settings.resync_seconds))
        for number in itertools.count():
            await asyncio.sleep(self.settings.resync_seconds * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
            for index, key in enumerate(self.memory.resources()):
                if (number + index) % shares == 0:
                    self.visits.doubt(key)
                # Spread out, so that a thousand resources don't keep a change waiting.
                self.queue.add_after(key, random.uniform(0, self.settings.resync_seconds / 10))  # noqa: S311

    async def _find_strays(self) -> None:
        """Look once, when this process begins to lead, for what an earlier one knew to be there."""
        await self.leadership.leads.wait()
        try:
            for namespace in self.settings.watch_namespaces or (None,):
                async for key in self.cluster.list_strays(namespace):
                    self.visits.doubt(key)
                    self.queue.add(key)
        except errors.ClusterError as error:
            # Each resource is looked at within the hour all the same.
            logger.warning("strays can't be listed", extra={"error": str(error)})

    async def _list(self) -> list[decoding.Meta]:
        found: list[decoding.Meta] = []
        for namespace in self.settings.watch_namespaces or (None,):
            found += [each async for each in self.cluster.list_model_deployments(namespace)]
        return found

    async def _versions(self) -> Mapping[str, int]:
        settings = self.settings
        rounds = settings.freshness_interval_seconds + settings.freshness_grace_seconds
        self.pulse.beat("freshness", within_seconds=rounds + pulse.WITHIN_SECONDS)
        listed = await self._list()
        versions = {found.uid: int(found.resource_version) for found in listed}
        # kopf doesn't tell what has gone while it wasn't watching.
        keys = [(found.namespace, found.name) for found in listed]
        for namespace in settings.watch_namespaces or ("",):
            newest = max(versions.values(), default=0)
            for key in self.memory.keep_only(naming.PLURAL, namespace, keys, newest):
                self.queue.add(key)
        return versions

    async def _wait_for_crd(self) -> None:
        """Wait until the API server serves ModelDeployments: kopf would watch nothing for ever without them."""
        said = ""
        while True:
            try:
                await self._list()
                return
            except errors.ClusterError as error:
                if str(error) != said:
                    said = str(error)
                    hint = (
                        f"install the CRD {naming.PLURAL}.{naming.GROUP}"
                        if error.status == 404
                        else "retrying"
                    )
                    logger.warning("ModelDeployments can't be listed", extra={"error": said, "hint": hint})
            await asyncio.sleep(_CRD_POLL_SECONDS)


async def _run(settings: config.OperatorConfig) -> None:
    link = await connection.open_connection(os.environ)
    # What the imports have made stays for good. Going through it again and again, as Python would, takes more of
    # the operator's CPU than any part of its own.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    await _Operator(settings, link).run()


def _identity() -> str:
    """Give a name that no other process has, not even the one before in the same container."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


def _stamp() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> int:
    """Run the operator; give the exit code."""
    try:
        settings = config.from_env(os.environ)
        logs.set_up(settings.log_level)
        # The loop and TLS are a quarter of the operator's CPU on asyncio's own loop.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings))
    except errors.ConfigInvalid as error:
        print(f"modelyard-operator: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except freshness.Deaf as deaf:
        logger.error("deaf", extra={"error": str(deaf)})
        return 1
    except leadership.Lost as lost:
        logger.error("not the leader any more", extra={"error": str(lost)})
        return EXIT_NOT_LEADING
    except Exception:  # the outermost edge: whatever ended a part ends the process, and the pod is restarted
        logger.exception("ended")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
