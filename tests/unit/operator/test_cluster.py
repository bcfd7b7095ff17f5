"""What the operator's API calls say on the wire: whom a write means, and which answers count as done."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import pytest

from modelyard_operator import cluster, errors, metrics, naming, plan
from modelyard_operator.objects import Kind

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "iris", "namespace": "default"},
    "spec": {"ports": [{"port": 80, "protocol": "TCP"}]},
}


class Answer:
    """One response, and what was asked for it."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = dict(headers)
        self._body = body

    async def read(self) -> bytes:
        return msgspec.json.encode(self._body)

    async def __aenter__(self) -> "Answer":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Link:
    """A connection whose every call is answered alike; it keeps the bodies."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.server = "https://api.example"
        self.sent: list[Any] = []
        self._answer = Answer(status, {**SERVICE, "message": "no"}, headers or {})

    @property
    def session(self) -> "Link":
        return self

    async def authorization(self) -> None:
        return None

    def request(self, verb: str, url: str, **kwargs: Any) -> Answer:
        data = kwargs["data"]
        self.sent.append(msgspec.json.decode(data._value) if data is not None else None)
        return self._answer


def call(link: Link, what: Callable[[cluster.ApiCluster], Awaitable[Any]]) -> Any:
    api = cluster.ApiCluster(link, metrics.Metrics())  # type: ignore[arg-type]

    async def make() -> Any:
        return await what(api)

    return asyncio.run(make())


DELETE = plan.Delete(Kind.SERVICE, "default", "iris", "uid-1")


def test_a_delete_means_one_object_and_not_whatever_has_its_name() -> None:
    link = Link(200)
    call(link, lambda api: api.delete(DELETE))
    assert link.sent[0]["preconditions"] == {"uid": "uid-1"}


@pytest.mark.parametrize("status", [404, 409])
def test_what_is_gone_or_has_been_replaced_counts_as_deleted(status: int) -> None:
    call(Link(status), lambda api: api.delete(DELETE))


def test_a_create_fails_where_something_is_by_naming_a_version_that_nothing_has() -> None:
    link = Link(201)
    call(link, lambda api: api.apply(plan.Apply(SERVICE)))
    assert link.sent[0]["metadata"]["resourceVersion"] == "1"


def test_a_change_means_the_object_and_the_version_that_was_looked_at() -> None:
    link = Link(200)
    call(link, lambda api: api.apply(plan.Apply(SERVICE, ("spec",), "uid-1", version="7")))
    assert link.sent[0]["metadata"] == {
        "name": "iris",
        "namespace": "default",
        "uid": "uid-1",
        "resourceVersion": "7",
    }


@pytest.mark.parametrize("status", [409, 429, 500, 504])
def test_a_status_that_was_not_written_is_an_error(status: int) -> None:
    resource = {"metadata": {"name": "iris", "namespace": "default", "uid": "uid-1"}, "kind": naming.KIND}
    with pytest.raises(errors.ClusterError) as refusal:
        call(Link(status), lambda api: api.apply_status(resource))
    assert refusal.value.status == status


def test_the_time_that_the_api_server_asks_for_is_passed_on() -> None:
    with pytest.raises(errors.ClusterError) as refusal:
        call(Link(429, {"Retry-After": "9"}), lambda api: api.delete(DELETE))
    assert refusal.value.retry_after_seconds == 9
