"""What one user has asked of an API server, from the server's own audit log: the witness that no client can bribe."""

import json
from pathlib import Path

import msgspec

from tests.support import chart_rights


class Trail(msgspec.Struct, frozen=True):
    """The rights that were used, and the requests that were denied."""

    used: frozenset[chart_rights.Right]
    denied: frozenset[chart_rights.Right]


def read(log: Path, user: str) -> Trail:
    """Give the trail of a user; questions about the API itself (discovery, versions) need no right and are left out."""
    used: set[chart_rights.Right] = set()
    denied: set[chart_rights.Right] = set()
    for line in log.read_text().splitlines():
        # Cheap first: most lines of a busy log are other users'.
        if user in line and line.endswith("}"):
            _enter(json.loads(line), user, used, denied)
    return Trail(frozenset(used), frozenset(denied))


def _enter(
    event: dict[str, object], user: str, used: set[chart_rights.Right], denied: set[chart_rights.Right]
) -> None:
    who, what, answer = (
        event.get("impersonatedUser") or event["user"],
        event.get("objectRef"),
        event.get("responseStatus") or {},
    )
    if not isinstance(who, dict) or who["username"] != user or not isinstance(what, dict):
        return
    if str(what["resource"]).startswith("selfsubject"):
        return  # everybody may ask about himself
    assert isinstance(answer, dict)
    resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
    name = chart_rights.named(what.get("apiGroup", ""), resource)
    verb, code = str(event["verb"]), answer.get("code")
    if code == 403:
        denied.add((verb, name))
        return
    used.add((verb, name))
    if verb == "patch" and code == 201:
        used.add(("create", name))  # an apply that makes the object needs both
