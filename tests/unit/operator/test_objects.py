"""`objects`: whose an object is, and which ModelDeployment an event of a child is about."""

from typing import Any

import pytest

from modelyard_operator import naming, objects


def child(owners: list[dict[str, Any]] | None = None, **labels: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "child", "namespace": "ns", "labels": labels}
    return {
        "kind": "Service",
        "metadata": metadata | ({"ownerReferences": owners} if owners is not None else {}),
    }


OWNER = {"kind": naming.KIND, "name": "iris", "uid": "u", "controller": True}
LABELLED = {naming.LABEL_INSTANCE: "by-label"}


@pytest.mark.parametrize(
    ("manifest", "key"),
    [
        (child([OWNER]), ("ns", "iris")),
        (child([OWNER], **LABELLED), ("ns", "iris")),
        (child([], **LABELLED), ("ns", "by-label")),
        (child([{**OWNER, "kind": "App"}], **LABELLED), ("ns", "by-label")),
        (child([{**OWNER, "controller": False}]), None),
        (child(), None),
    ],
)
def test_an_event_of_a_child_is_about_its_owner_or_else_about_its_label(
    manifest: dict[str, Any], key: tuple[str, str] | None
) -> None:
    assert objects.owning_key(manifest) == key


def test_an_owner_is_a_uid_and_never_a_name() -> None:
    assert objects.is_owned_by(child([OWNER]), "u")
    assert not objects.is_owned_by(child([OWNER]), "another")
    assert not objects.is_owned_by(child(), "u")
