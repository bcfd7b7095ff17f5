"""The one place that calls the Kubernetes API: plain dicts in and out, a timeout on each call, errors in one type.

Implements `reconciler.Cluster`, and lists for `freshness` and the resync. All reads are live, never from a cache:
what is decided on them may be destructive. Deletes and applies name the UID that was looked at, so that an object
which has taken another's place is never touched, and what is created is created only where nothing is. Every write
has to pass the fence, but for the one that moves it: the Lease. Decides nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import msgspec

from modelyard_operator import (
    api,
    connection,
    decoding,
    errors,
    events,
    lease,
    metrics,
    naming,
    objects,
    plan,
)
from modelyard_operator import fence as fences
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed

_APPLY = {"Content-Type": "application/apply-patch+yaml"}  # JSON is YAML
_MERGE = {"Content-Type": "application/merge-patch+json"}
_NO_STATUS = {field.encode_name: None for field in msgspec.structs.fields(api.Status)}
_METADATA_ONLY = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
_PAGE = 500
# An apply that names a version which no object ever has creates an object, and fails with 409 when there is one.
_NO_VERSION = "1"


_TOTAL_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_TIMEOUT = aiohttp.ClientTimeout(total=_TOTAL_SECONDS, sock_connect=_CONNECT_SECONDS)


class _Call(msgspec.Struct, frozen=True):
    """One request to the API server."""

    verb: str
    resource: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: Manifest | None = None
    is_fenced: bool = True


class ApiCluster:
    """A real cluster."""

    def __init__(
        self, link: connection.Connection, numbers: metrics.Metrics, fence: fences.Fence | None = None
    ) -> None:
        self._link = link
        self._metrics = numbers
        self._fence = fence or fences.unfenced()

    async def get_model_deployment(self, namespace: str, name: str) -> Manifest | None:
        """Read the resource; None when there is none."""
        return await self._get(naming.API_VERSION, naming.PLURAL, namespace, name)

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """Read one child; None when there is none."""
        return await self._get(kind.api_version, kind.plural, namespace, name)

    async def observe(self, namespace: str, name: str) -> Observed:
        """Read everything around a ModelDeployment except its pods, all at the same time."""
        children, stored, locks, replica_sets = await asyncio.gather(
            self._children(namespace, name),
            self._list(Kind.CONTROLLER_REVISION, namespace, name),
            self._list(Kind.CONFIG_MAP, namespace, name),
            self._list_named("apps/v1", "replicasets", namespace, name),
        )
        return Observed(children=children, revisions=stored, locks=locks, replica_sets=replica_sets)

    async def list_pods(self, namespace: str, name: str) -> tuple[Manifest, ...]:
        """Read the pods of a ModelDeployment."""
        return await self._list_named("v1", "pods", namespace, name)

    async def apply(self, action: plan.Apply) -> Manifest:
        """Carry out a server-side apply and give the object that came of it; without a UID only where nothing is."""
        kind = objects.kind_of(action.manifest)
        metadata = action.manifest["metadata"]
        body = _with_preconditions(action)
        query = {"fieldManager": action.manager, "force": "true" if action.force else "false"}
        path = _path(kind.api_version, kind.plural, metadata["namespace"], metadata["name"])
        return await self._send(_Call("PATCH", kind.plural, path, query=query, headers=_APPLY, body=body))

    async def delete(self, action: plan.Delete) -> None:
        """Delete one object; one that is gone or has been replaced counts as deleted."""
        path = _path(action.kind.api_version, action.kind.plural, action.namespace, action.name)
        await self._delete(action.kind.plural, path, action.uid)

    async def stop_pod(self, action: plan.StopPod) -> None:
        """Delete one pod, which has its grace period; one that is gone or has been replaced counts as deleted."""
        await self._delete("pods", _path("v1", "pods", action.namespace, action.name), action.uid)

    async def apply_status(self, manifest: Manifest) -> Manifest | None:
        """Carry out a server-side apply on the status of a ModelDeployment and give it; None when it has gone."""
        metadata = manifest["metadata"]
        path = _path(naming.API_VERSION, naming.PLURAL, metadata["namespace"], metadata["name"]) + "/status"
        query = {"fieldManager": naming.STATUS_MANAGER, "force": "true"}
        call = _Call("PATCH", naming.PLURAL, path, query=query, headers=_APPLY, body=manifest)
        try:
            return await self._send(call)
        except errors.ClusterError as error:
            if error.status == 404:
                return None
            if not error.is_refusal:
                raise
        # An apply wants the whole object to fit the schema, also a spec that another version of the CRD let in.
        body = {"metadata": {"uid": metadata["uid"]}, "status": {**_NO_STATUS, **manifest["status"]}}
        query = {"fieldManager": naming.STATUS_MANAGER}
        return await self._send(_Call("PATCH", naming.PLURAL, path, query=query, headers=_MERGE, body=body))

    async def create_event(self, manifest: Manifest) -> None:
        """Create an Event; fails with 409 when there is one of that name."""
        path = _path(events.API_VERSION, events.PLURAL, manifest["metadata"]["namespace"])
        await self._send(_Call("POST", events.PLURAL, path, body=manifest))

    async def get_lease(self, namespace: str, name: str) -> Manifest | None:
        """Read a Lease; None when there is none."""
        return await self._get(lease.API_VERSION, lease.PLURAL, namespace, name)

    async def write_lease(self, manifest: Manifest) -> Manifest:
        """Replace the version of a Lease that the manifest names, or create it, whatever the fence says."""
        metadata = manifest["metadata"]
        is_new = "resourceVersion" not in metadata
        name = "" if is_new else metadata["name"]
        path = _path(lease.API_VERSION, lease.PLURAL, metadata["namespace"], name)
        verb = "POST" if is_new else "PUT"
        return await self._send(_Call(verb, lease.PLURAL, path, body=manifest, is_fenced=False))

    async def list_model_deployments(self, namespace: str | None) -> AsyncIterator[decoding.Meta]:
        """Give the metadata of every ModelDeployment of one namespace, or of all with None, page by page."""
        async for found in self._metadata(naming.API_VERSION, naming.PLURAL, namespace, {}):
            yield found

    async def list_strays(self, namespace: str | None) -> AsyncIterator[tuple[str, str]]:
        """Give namespace and name of each ModelDeployment with a child that has lost our label and may be unwanted.

        No watch tells of such a child. Of the other kinds each is wanted, and is looked for by its name.
        """
        query = {"labelSelector": f"{naming.LABEL_MANAGED_BY}!={naming.APP}"}
        for kind in (Kind.AUTOSCALER, Kind.DISRUPTION_BUDGET):
            async for found in self._metadata(kind.api_version, kind.plural, namespace, query):
                for owner in found.owner_references or ():
                    if owner.controller and owner.kind == naming.KIND:
                        yield found.namespace, owner.name

    async def _metadata(
        self, api_version: str, plural: str, namespace: str | None, query: Mapping[str, str]
    ) -> AsyncIterator[decoding.Meta]:
        where = f"/namespaces/{namespace}" if namespace else ""
        asked = {"limit": str(_PAGE), **query}
        while True:
            path = f"/apis/{api_version}{where}/{plural}"
            page = decoding.page(await self._request(_Call("GET", plural, path, asked, _METADATA_ONLY)))
            for item in page.items or ():
                yield decoding.meta(item)
            if not page.metadata.continue_:
                return
            asked["continue"] = page.metadata.continue_

    async def _children(self, namespace: str, name: str) -> dict[Kind, Manifest]:
        kinds = [kind for kind in Kind if not kind.is_per_revision]
        found = await asyncio.gather(*(self.get(kind, namespace, name) for kind in kinds))
        return {kind: manifest for kind, manifest in zip(kinds, found, strict=True) if manifest is not None}

    async def _delete(self, plural: str, path: str, uid: str) -> None:
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._send(_Call("DELETE", plural, path, body=body))
        except errors.ClusterError as error:
            if error.status not in (404, 409):
                raise

    async def _get(self, api_version: str, plural: str, namespace: str, name: str) -> Manifest | None:
        try:
            return await self._send(_Call("GET", plural, _path(api_version, plural, namespace, name)))
        except errors.ClusterError as error:
            if error.status == 404:
                return None
            raise

    async def _list(self, kind: Kind, namespace: str, name: str) -> tuple[Manifest, ...]:
        items = await self._list_named(kind.api_version, kind.plural, namespace, name)
        # Items of a list come without their kind.
        return tuple({"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in items)

    async def _list_named(
        self, api_version: str, plural: str, namespace: str, name: str
    ) -> tuple[Manifest, ...]:
        query = {"labelSelector": naming.selector_text(name)}
        found = await self._send(_Call("GET", plural, _path(api_version, plural, namespace), query=query))
        return tuple(found["items"])

    async def _send(self, call: _Call) -> Manifest:
        answer = await self._request(call)
        try:
            decoded: Manifest = msgspec.json.decode(answer)
        except msgspec.DecodeError as error:
            raise errors.ClusterError(f"{call.verb} {call.path}", 0, f"no JSON: {error}") from error
        return decoded

    async def _request(self, call: _Call) -> bytes:
        """Make one call.

        Raises:
            errors.ClusterError: for every answer but 2xx, and when there was none.
            errors.NotLeading: when it is a write and the fence is closed.
        """
        sent = {"Content-Type": "application/json", **call.headers}
        if authorization := await self._link.authorization():
            sent["Authorization"] = authorization
        url, what, code = self._link.server + call.path, f"{call.verb} {call.path}", 0
        timeout, data = self._fenced(call, what)
        # The API server lets go of a call at the same time as we do, so that none outlives the fence there either.
        query = {**call.query, "timeout": f"{int((timeout.total or 0) * 1000)}ms"}
        started = time.monotonic()
        try:
            async with self._link.session.request(
                call.verb, url, params=query, headers=sent, data=data, timeout=timeout
            ) as response:
                code = response.status
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise errors.ClusterError(what, 0, str(error) or "no answer in time") from error
        finally:
            self._metrics.count_request(call.verb, call.resource, code)
            self._metrics.api_seconds.labels(call.verb, call.resource).observe(time.monotonic() - started)
        if code >= 300:
            raise _refused(what, code, answer, response.headers.get("Retry-After", ""))
        return answer

    def _fenced(
        self, call: _Call, what: str
    ) -> tuple[aiohttp.ClientTimeout, bytes | aiohttp.payload.Payload | None]:
        """Give how long a call may take, and its body."""
        data = None if call.body is None else msgspec.json.encode(call.body)
        if call.verb == "GET" or not call.is_fenced:
            return _TIMEOUT, data
        seconds = min(_TOTAL_SECONDS, self._fence.check(what))
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        return timeout, self._fence.guard(what, data or b"")


def _refused(what: str, code: int, answer: bytes, retry_after: str) -> errors.ClusterError:
    """Give the error that an answer stands for, in the API server's own words where it has any."""
    try:
        message = msgspec.json.decode(answer, type=dict[str, Any]).get("message", "")
    except msgspec.DecodeError:
        message = answer[:200].decode(errors="replace")
    seconds = float(retry_after) if retry_after.isdecimal() else None
    return errors.ClusterError(what, code, message or "no reason given", seconds)


def _path(api_version: str, plural: str, namespace: str, name: str = "") -> str:
    root = "/api" if "/" not in api_version else "/apis"
    return f"{root}/{api_version}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def _with_preconditions(action: plan.Apply) -> Manifest:
    if not action.uid:
        expected = {"resourceVersion": _NO_VERSION}
    elif action.version:
        expected = {"uid": action.uid, "resourceVersion": action.version}
    else:
        expected = {"uid": action.uid}
    return {**action.manifest, "metadata": {**action.manifest["metadata"], **expected}}
