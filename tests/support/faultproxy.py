"""An HTTP proxy between an operator and the real API server that writes everything down and breaks what it is told to.

The operator's own credentials are passed on, so that it has exactly its own rights. Faults of single requests come from
`plan`, troubles of watches from `disturb`, and `partition` cuts the operator off altogether. Used by the campaigns and
by the integration tests; `tests/unit/test_faultproxy.py` shows that each fault is what it says.
"""

import asyncio
import json
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import yarl
from aiohttp import web

from tests.support import faultproxy_records as records
from tests.support.faultproxy_faults import Fault, Place, Trouble, status_body

Plan = Callable[[records.Call], Fault | None]
EVERYTHING = "*"
_PASSED = ("Accept", "Content-Type", "Authorization")
_AFTER_SECONDS = 0.3  # a killed operator had this long to act on its last answer
_OLD_ANSWERS = 4


class _Answer(msgspec.Struct, frozen=True):
    code: int
    body: bytes
    content_type: str = "application/json"
    retry_after: str = ""


class FaultProxy:
    """One proxy for one operator.

    Attributes:
        plan: gives the fault of each request; None for none.
        kill: ends the operator process and returns when it is gone.
        step: what the test is doing; goes into each record.
        process: the number of the operator's life; goes into each record.
        records: every request but running watches, oldest first; watches when they were answered.
        lines: every event of a watch that was passed on.
    """

    def __init__(self, server: str, certificate_authority: str | None) -> None:
        self._server = server
        self._certificate_authority = certificate_authority
        self._session: aiohttp.ClientSession
        self._troubles: dict[str, Trouble] = {}
        self._streams: dict[asyncio.Future[Trouble], str] = {}
        self._old: dict[str, deque[_Answer]] = {}
        self._connected = asyncio.Event()
        self._connected.set()
        self._moved = asyncio.Event()  # set by each request, so that a kill can wait for the next one
        self._living = asyncio.Event()  # cleared while the operator is on its way to its death
        self._living.set()
        self.plan: Plan | None = None
        self.kill: Callable[[], Awaitable[None]] | None = None
        self.step = ""
        self.process = 0
        self.records: list[records.Record] = []
        self.lines: list[records.Line] = []

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve for as long as the block lasts; give the address."""
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        tls = ssl.create_default_context(cafile=self._certificate_authority)
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        async with aiohttp.ClientSession(connector=connector, read_bufsize=2**22) as self._session:
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()

    def disturb(self, kinds: Iterable[str], trouble: Trouble) -> None:
        """Let the watches of these plurals suffer from now on; EVERYTHING means every request of any kind."""
        for kind in kinds:
            self._troubles[kind] = trouble
        for stream, kind in self._streams.items():
            if not stream.done() and self._trouble_of(kind) is not None:
                stream.set_result(trouble)

    def heal(self) -> None:
        """End all troubles and the partition; streams that had fallen silent stay so."""
        self._troubles.clear()
        self._connected.set()

    def partition(self) -> None:
        """Cut the operator off: no request is answered or refused, no stream brings anything, until `heal`."""
        self._connected.clear()
        for stream in self._streams:
            if not stream.done():
                stream.set_result(Trouble("partition", is_silent=True))

    @staticmethod
    def now() -> float:
        """Give the time of the records."""
        return time.monotonic()

    # One request

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = records.parse(request.method, request.path, dict(request.query), self.step)
        seconds, process, body = self.now(), self.process, await request.read()
        self._moved.set()
        await self._connected.wait()
        if not self._living.is_set():
            # What a dying operator still asks for never reaches the API server.
            await self._living.wait()
            return self._cut(request)
        record = records.Record(seconds, call, process=process)
        trouble = self._trouble_of(call.kind)
        is_list = call.verb == "GET" and not call.name
        if trouble is not None and trouble.code and (is_list or EVERYTHING in self._troubles):
            return self._refuse(record, trouble)
        if call.is_watch:
            return await self._watch(request, record)
        fault = self.plan(call) if self.plan is not None else None
        # An operator that goes away does not take back what it has asked for, and it is written down all the same.
        return await asyncio.shield(self._answer(request, record, body, fault or Fault("", Place.AFTER)))

    def _refuse(self, record: records.Record, trouble: Trouble) -> web.Response:
        self._write(record, answered=trouble.code, fault=trouble.name)
        return web.json_response(status_body(trouble.code), status=trouble.code)

    async def _answer(
        self, request: web.Request, record: records.Record, body: bytes, fault: Fault
    ) -> web.StreamResponse:
        await asyncio.sleep(fault.delay_seconds)
        if fault.place is Place.BEFORE:
            if fault.kills:
                await self._end_operator()
            self._write(record, answered=fault.code, fault=fault.name)
            return self._told(request, fault)
        answer = await self._forward(request, body)
        if answer is None:
            self._write(record, fault=fault.name or "no API server")
            return self._cut(request)
        if fault.place is Place.UNANSWERED:
            if fault.kills:
                await self._end_operator()
            self._write(record, code=answer.code, answered=fault.code, fault=fault.name)
            return self._told(request, fault)
        self._write(record, code=answer.code, answered=answer.code, fault=fault.name)
        answer = self._worsened(request.raw_path, answer, fault) if record.call.verb == "GET" else answer
        if fault.kills:
            self._moved.clear()
            self._living.clear()
            self._kill_soon = asyncio.create_task(self._end_after_next())
        headers = {"Retry-After": answer.retry_after} if answer.retry_after else {}
        return web.Response(
            body=answer.body, status=answer.code, content_type=answer.content_type, headers=headers
        )

    def _told(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if not fault.code:
            return self._cut(request)
        headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
        return web.json_response(status_body(fault.code), status=fault.code, headers=headers)

    def _worsened(self, question: str, answer: _Answer, fault: Fault) -> _Answer:
        if fault.is_truncated:
            return msgspec.structs.replace(answer, body=answer.body[: len(answer.body) // 2])
        old = self._old.setdefault(question, deque(maxlen=_OLD_ANSWERS))
        if fault.is_stale and old:
            return old[0]
        if answer.code == 200:
            old.append(answer)
        return answer

    async def _forward(self, request: web.Request, body: bytes) -> _Answer | None:
        try:
            async with self._upstream(request, body, 60) as upstream:
                content = await upstream.read()
        except (aiohttp.ClientError, TimeoutError):
            return None
        retry_after = upstream.headers.get("Retry-After", "")
        return _Answer(upstream.status, content, upstream.content_type, retry_after)

    def _upstream(
        self, request: web.Request, body: bytes, timeout_seconds: float | None
    ) -> aiohttp.client._RequestContextManager:
        headers = {key: request.headers[key] for key in _PASSED if key in request.headers}
        return self._session.request(
            request.method,
            yarl.URL(self._server + request.raw_path, encoded=True),
            data=body or None,
            headers={**headers, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        )

    @staticmethod
    def _cut(request: web.Request) -> web.Response:
        """End the connection without a word, as a broken network does."""
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _write(self, record: records.Record, code: int = 0, answered: int = 0, fault: str = "") -> None:
        self.records.append(msgspec.structs.replace(record, code=code, answered=answered, fault=fault))

    async def _end_after_next(self) -> None:
        try:
            async with asyncio.timeout(_AFTER_SECONDS):
                await self._moved.wait()
        except TimeoutError:
            pass
        await self._end_operator()

    async def _end_operator(self) -> None:
        assert self.kill is not None, "a fault kills, and nobody has said whom"
        self._living.clear()
        await self.kill()
        self._living.set()

    # One watch

    async def _watch(self, request: web.Request, record: records.Record) -> web.StreamResponse:
        kind = record.call.kind
        response = web.StreamResponse()
        response.content_type = "application/json"
        trouble = self._trouble_of(kind)
        if trouble is not None:
            self._write(record, answered=200, fault=trouble.name)
            await response.prepare(request)
            return await self._suffer(request, response, trouble)
        stream: asyncio.Future[Trouble] = asyncio.get_running_loop().create_future()
        self._streams[stream] = kind
        copying = asyncio.create_task(self._copy(request, response, record))
        try:
            both: set[asyncio.Future[Any]] = {stream, copying}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not stream.done():
                return copying.result()
            copying.cancel()
            await asyncio.wait({copying})
            return await self._suffer(request, response, stream.result())
        finally:
            copying.cancel()
            self._streams.pop(stream, None)

    async def _copy(
        self, request: web.Request, response: web.StreamResponse, record: records.Record
    ) -> web.StreamResponse:
        try:
            async with self._upstream(request, b"", None) as upstream:
                self._write(record, code=upstream.status, answered=upstream.status)
                response.set_status(upstream.status)
                await response.prepare(request)
                async for line in upstream.content:
                    if upstream.status == 200:
                        self._note(record.call.kind, line)
                    await response.write(line)
        except (aiohttp.ClientError, ConnectionError):
            return self._cut(request)
        return response

    async def _suffer(
        self, request: web.Request, response: web.StreamResponse, trouble: Trouble
    ) -> web.StreamResponse:
        if not response.prepared:
            await response.prepare(request)
        if trouble.is_silent:
            await asyncio.Event().wait()  # until the operator hangs up
        if trouble.error:
            event = {"type": "ERROR", "object": status_body(trouble.error)}
            await response.write(json.dumps(event).encode() + b"\n")
            return response
        if trouble.text:
            await response.write(trouble.text)
        if request.transport is not None:
            request.transport.close()  # what was written still goes out
        return response

    def _trouble_of(self, kind: str) -> Trouble | None:
        return self._troubles.get(EVERYTHING) or self._troubles.get(kind)

    def _note(self, kind: str, line: bytes) -> None:
        event = json.loads(line)
        metadata = event["object"].get("metadata") or {}
        self.lines.append(
            records.Line(
                self.now(), kind, event["type"], metadata.get("namespace", ""), metadata.get("name", ""),
                metadata.get("resourceVersion", ""),
            )
        )  # fmt: skip
