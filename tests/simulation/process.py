"""One process of the operator in the simulation: its reconciler, and every API call as a point where things go wrong.

`Instance.visit` drives a real `Reconciler` without an event loop: each call of its cluster is handed out as a `Call`,
and whoever drives decides whether it is carried out, answered with an error, or the last thing the process did.
"""

import enum
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

import msgspec

from modelyard_operator import config, errors, plan, reconciler
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed
from tests.simulation import api, watching

_NOT_LEADING: Any = getattr(errors, "NotLeading", lambda what: errors.ClusterError(what, 0, "not leading"))
Answer = TypeVar("Answer")
KEY = ("default", "iris")


class Fault(enum.Enum):
    """What can happen to one API call."""

    CRASH_BEFORE = "the process dies before it"
    CRASH_AFTER = "the process dies right after it, unanswered"
    CONFLICT = "it is answered with 409"
    ERROR = "it is answered with 500 and not carried out"
    UNAVAILABLE = "it is answered with 503 and not carried out"
    APPLIED_ERROR = "it is carried out and answered with 504"
    APPLIED_SILENCE = "it is carried out and never answered"
    SILENCE = "its request never arrives"


_STATUS = {
    Fault.CONFLICT: 409,
    Fault.ERROR: 500,
    Fault.UNAVAILABLE: 503,
    Fault.APPLIED_ERROR: 504,
    Fault.APPLIED_SILENCE: 0,
    Fault.SILENCE: 0,
}
_CARRIED_OUT = (Fault.CRASH_AFTER, Fault.APPLIED_ERROR, Fault.APPLIED_SILENCE)


class Call(msgspec.Struct, frozen=True):
    """One API call that the operator is about to make."""

    what: str
    run: Callable[[], Any]
    write: plan.Action | Manifest | None = None  # a manifest stands for a status


class _Suspension:
    """Hands a call to the driver and takes what comes of it."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __await__(self) -> Generator[Call, Any, Any]:
        return (yield self._call)


class Client:
    """The API as one process of the operator reaches it."""

    def __init__(self, cluster: api.FastCluster, may_write: Callable[[], bool]) -> None:
        self._api = cluster
        self._may_write = may_write

    async def get_model_deployment(self, namespace: str, name: str) -> Manifest | None:
        return await self._do(
            "read the resource", lambda: self._api.find("modeldeployments", name, namespace)
        )

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        return await self._do(
            f"read {kind.kind} {name}", lambda: self._api.find(kind.plural, name, namespace)
        )

    async def observe(self, namespace: str, name: str) -> Observed:
        return await self._do("observe", lambda: self._api.observed(namespace, name))

    async def list_pods(self, namespace: str, name: str) -> tuple[Manifest, ...]:
        return await self._do("list pods", lambda: tuple(self._api.selected("pods", namespace, name)))

    async def apply(self, action: plan.Apply) -> Manifest:
        return await self._do(str(action), lambda: self._api.apply_now(action), action)

    async def delete(self, action: plan.Delete) -> None:
        await self._do(str(action), lambda: self._api.delete_now(action), action)

    async def stop_pod(self, action: plan.StopPod) -> None:
        await self._do(str(action), lambda: self._api.delete_now(action), action)

    async def apply_status(self, manifest: Manifest) -> Manifest | None:
        return await self._do("write the status", lambda: self._api.apply_status_now(manifest), manifest)

    async def _do(
        self, what: str, run: Callable[[], Answer], write: plan.Action | Manifest | None = None
    ) -> Answer:
        def fenced() -> Answer:
            if write is not None and not self._may_write():
                raise _NOT_LEADING(what)
            return run()

        answer: Answer = await _Suspension(Call(what, fenced, write))
        return answer


class Instance:
    """One process of the operator."""

    def __init__(
        self, name: str, cluster: api.FastCluster, history: watching.History, settings: config.OperatorConfig
    ) -> None:
        self.name = name
        self.settings = settings
        self.is_leader = True
        self._api = cluster
        self._history = history
        self._seconds = 0
        self._visit: Coroutine[Any, Any, None] | None = None
        self._pending: Call | None = None
        self.outcome: Exception | None = None  # how the last visit ended
        self.restart()

    @property
    def is_visiting(self) -> bool:
        """Whether a visit hangs in front of a call."""
        return self._pending is not None

    def restart(self) -> None:
        """Lose all memory, and whatever was under way; a new memory begins with lists."""
        self.abandon()
        memory = watching.PlainStore()
        self.watches = watching.Watches(self._history, memory)
        client = Client(self._api, lambda: self.is_leader)
        self._reconciler = reconciler.Reconciler(client, self.settings, self._now, memory)

    def resync(self) -> None:
        """Have the next visit look for what no watch tells of."""
        self._reconciler.doubt(KEY)

    def abandon(self) -> None:
        """Let go of a visit that is under way."""
        if self._visit is not None:
            self._visit.close()
        self._visit = self._pending = None

    def start(self) -> Call | Exception | None:
        """Begin a visit; give its first call, or how it ended."""
        self._visit = self._reconciler.reconcile(KEY)
        return self._resume(lambda visit: visit.send(None))

    def next(self, fault: Fault | None, carry_out: Callable[[Call], Any]) -> Call | Exception | None:
        """Let the pending call happen, or what is in its place; give the next call, or how the visit ended."""
        call, self._pending = self._pending, None
        assert call is not None
        if fault is Fault.CRASH_BEFORE:
            self.restart()
            return None
        answer, refusal = None, None
        if fault is None or fault in _CARRIED_OUT:
            try:
                answer = carry_out(call)
            except errors.ClusterError as error:
                refusal = error
        if fault is Fault.CRASH_AFTER:
            self.restart()
            return None
        if fault is not None:
            refusal = errors.ClusterError(call.what, _STATUS[fault], fault.value)
        if refusal is not None:
            raised = refusal
            return self._resume(lambda visit: visit.throw(raised))
        return self._resume(lambda visit: visit.send(answer))

    def _resume(self, how: Callable[[Coroutine[Any, Any, None]], Any]) -> Call | Exception | None:
        assert self._visit is not None
        self.outcome = None
        try:
            self._pending = how(self._visit)
        except StopIteration:
            self._visit = None
            return None
        except (errors.Stalled, errors.Waiting, errors.ClusterError) as outcome:
            self._visit, self.outcome = None, outcome
            return outcome
        return self._pending

    def _now(self) -> str:
        self._seconds += 1
        return (
            f"2026-02-01T{self._seconds // 3600:02d}:{self._seconds // 60 % 60:02d}:{self._seconds % 60:02d}Z"
        )
