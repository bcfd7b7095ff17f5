"""An API server that says what a test has written down: lists and watches byte by byte, faults and all.

For what a real API server never does on demand: half lines, garbage, silence, versions of the past.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web
from kubernetes.aio import client

from modelyard_operator import connection, naming


class Answer(msgspec.Struct, frozen=True):
    """What one request gets: a whole answer, or the beginning of a stream and how it goes on."""

    body: bytes = b""
    status: int = 200
    retry_after: str = ""
    hangs: bool = False
    cuts: bool = False


HANG = Answer(hangs=True)


class ScriptedApi:
    """Answers lists and watches in the order of the script; afterwards lists repeat the last and watches hang."""

    def __init__(self, lists: Sequence[Answer], watches: Sequence[Answer] = ()) -> None:
        self._lists = list(lists)
        self._watches = list(watches)
        self.queries: list[dict[str, str]] = []  # of every request

    @property
    def watched(self) -> list[str]:
        """The versions from which watches were asked for."""
        return [query["resourceVersion"] for query in self.queries if "watch" in query]

    @property
    def listed(self) -> int:
        """How often a list was asked for."""
        return sum("watch" not in query for query in self.queries)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[connection.Connection]:
        """Serve for as long as the block lasts; give a connection to it."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        configuration = client.Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
        link = connection.Connection(configuration)
        try:
            yield link
        finally:
            await link.close()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(dict(request.query))
        if "watch" in request.query:
            answer = self._watches.pop(0) if self._watches else HANG
        else:
            answer = self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]
        headers = {"Retry-After": answer.retry_after} if answer.retry_after else {}
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        await response.write(answer.body)
        if answer.hangs:
            await asyncio.sleep(3600)
        if answer.cuts and request.transport is not None:
            request.transport.abort()
        return response


def child(name: str, version: int, owner: str = "", **metadata: Any) -> dict[str, Any]:
    """Give a child of the ModelDeployment `owner`, by default of one of its own name."""
    labels = naming.child_labels(owner or name)
    placed = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**placed, "labels": labels, **metadata},
        "spec": {"text": name},
    }


def listing(version: int, *items: dict[str, Any], more: str = "") -> Answer:
    """Give one page of a list."""
    metadata = {"resourceVersion": str(version), **({"continue": more} if more else {})}
    return Answer(json.dumps({"kind": "ServiceList", "metadata": metadata, "items": list(items)}).encode())


def line(kind: str, manifest: dict[str, Any]) -> bytes:
    """Give one line of a watch."""
    return json.dumps({"type": kind, "object": manifest}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    """Give the line that says how far a watch has come."""
    return line("BOOKMARK", {"kind": "Service", "metadata": {"resourceVersion": str(version)}})


def error(code: int) -> bytes:
    """Give the line that says that a watch is over."""
    return line("ERROR", {"kind": "Status", "code": code, "message": "planned"})
