"""What the fault proxy writes down, and what can be told from it: who wrote what how often. Pure.

A `Call` is a request as the API server would understand it, a `Record` what came of it. `occurrence` names the n-th
write by what it is, never by its place in the log: two runs may order independent writes differently.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Neither tells what the operator has made of a ModelDeployment, and both come when they come.
BYSTANDERS = frozenset({"events", "leases", "selfsubjectaccessreviews"})


class Call(msgspec.Struct, frozen=True):
    """One request: "PATCH deployments team-a/iris status"; `step` is what the test said it was doing."""

    verb: str
    kind: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    step: str = ""
    is_watch: bool = False

    @property
    def is_write(self) -> bool:
        """Whether it changes something a ModelDeployment consists of."""
        return self.verb in WRITES and self.kind not in BYSTANDERS

    @property
    def what(self) -> str:
        """The write without its namespace: what is the same in each run of a scenario."""
        more = f"/{self.subresource}" if self.subresource else ""
        return f"{self.step}: {self.verb} {self.kind}/{self.name}{more}"


class Record(msgspec.Struct, frozen=True):
    """What came of a call.

    Attributes:
        seconds: when it was asked, by the proxy's clock.
        call: what was asked for.
        code: what the API server answered; 0 when it was never asked, or didn't answer.
        answered: what the operator was told; 0 when nothing.
        fault: what was done to it; empty when nothing.
        process: the number of the operator process that asked, when the test has told the proxy.
    """

    seconds: float
    call: Call
    code: int = 0
    answered: int = 0
    fault: str = ""
    process: int = 0

    @property
    def is_effective(self) -> bool:
        """Whether the API server has carried out a write."""
        return self.call.is_write and 200 <= self.code < 300


class Line(msgspec.Struct, frozen=True):
    """One event of a watch as it went to the operator."""

    seconds: float
    kind: str
    event: str
    namespace: str = ""
    name: str = ""
    resource_version: str = ""


def parse(verb: str, path: str, query: dict[str, str], step: str = "") -> Call:
    """Give the call that a request to the API server is."""
    words = path.strip("/").split("/")
    words = words[2:] if words[0] == "api" else words[3:]
    namespace = ""
    if len(words) > 2 and words[0] == "namespaces":
        namespace, words = words[1], words[2:]
    kind, name, subresource = (*words, "", "", "")[:3]
    is_watch = query.get("watch", "") in ("true", "1")
    return Call(verb, kind, namespace, name, subresource, step, is_watch)


def occurrences(calls: Iterable[Call]) -> list[str]:
    """Give each write its name among all: "update: PATCH deployments/iris #1"."""
    seen: Counter[str] = Counter()
    names = []
    for call in calls:
        if call.is_write:
            seen[call.what] += 1
            names.append(f"{call.what} #{seen[call.what]}")
    return names


def creations(records: Iterable[Record]) -> Counter[str]:
    """Give how often each object was created, as the API server confirmed it."""
    return Counter(
        f"create {each.call.kind}/{each.call.name}"
        for each in records
        if each.is_effective and each.code == 201 and not each.call.subresource
    )


def deletions(records: Iterable[Record]) -> Counter[str]:
    """Give how often each object was deleted, as the API server confirmed it."""
    return Counter(
        f"delete {each.call.kind}/{each.call.name}"
        for each in records
        if each.is_effective and each.call.verb == "DELETE"
    )
