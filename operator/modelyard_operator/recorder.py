"""Tells what a visit found: Kubernetes Events for people, numbers for /metrics.

`reconciler` calls it with each status before it writes that, so that a process which dies in between tells the same
Event again under the same name, and none is lost. Telling must never stop a visit: an Event that can't be written is
counted, logged and let go.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from modelyard_operator import api, errors, events, metrics
from modelyard_operator.objects import Manifest

logger = logging.getLogger(__name__)


class Recorder:
    """Implements `reconciler.Recorder`."""

    def __init__(
        self,
        create_event: Callable[[Manifest], Awaitable[None]],
        numbers: metrics.Metrics,
        instance: str,
        stamp: Callable[[], str],
    ) -> None:
        self._create_event = create_event
        self._metrics = numbers
        self._instance = instance
        self._stamp = stamp

    async def record(self, identity: api.Identity, before: Mapping[str, Any], said: api.Status) -> None:
        """Tell one visit's status; `before` is the one that is there."""
        key = (identity.namespace, identity.name)
        self._metrics.resources.count(key, {each.type: each.status for each in said.conditions})
        for event in events.decide(identity, before, said):
            try:
                await self._create_event(events.build(identity, event, self._stamp(), self._instance))
            except errors.ClusterError as error:
                if error.status == 409:
                    continue  # told already, by a visit that didn't get as far as its status
                self._metrics.event_errors.inc()
                keys = {"namespace": identity.namespace, "model_deployment": identity.name}
                logger.warning(
                    "event not written", extra={**keys, "reason": event.reason, "error": str(error)}
                )

    def forget(self, key: tuple[str, str]) -> None:
        """Count a ModelDeployment no more that is gone or going."""
        self._metrics.resources.forget(key)
