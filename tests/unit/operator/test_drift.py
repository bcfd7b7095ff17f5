"""`drift`: when an apply would change something, and when it would not."""

import copy
from typing import Any

import pytest

from modelyard_operator import drift, naming

DESIRED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "iris", "labels": {"a": "1"}},
    "spec": {
        "replicas": 2,
        "template": {
            "containers": [
                {
                    "name": "serve",
                    "resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}},
                    "args": ["serve"],
                    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                }
            ]
        },
    },
}


def live(**owned: Any) -> dict[str, Any]:
    """Give what the API server makes of DESIRED: canonical quantities, defaults, somebody's sidecar."""
    found = copy.deepcopy(DESIRED)
    found["metadata"]["labels"]["theirs"] = "x"
    found["spec"]["paused"] = False
    containers = found["spec"]["template"]["containers"]
    containers[0]["resources"]["limits"]["cpu"] = "1"
    containers.insert(0, {"name": "sidecar"})
    entry = {"manager": naming.MANAGER, "operation": "Apply", "fieldsV1": owned}
    found["metadata"]["managedFields"] = [entry]
    return found


def differences(found: dict[str, Any], desired: dict[str, Any] = DESIRED) -> tuple[str, ...]:
    return drift.differences(desired, found, naming.MANAGER)


def test_defaults_canonical_quantities_and_other_peoples_fields_are_no_drift() -> None:
    assert differences(live()) == ()


def _set(found: dict[str, Any], path: list[Any], value: Any) -> dict[str, Any]:
    node = found
    for step in path[:-1]:
        node = node[step]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return found


SERVE = ["spec", "template", "containers", 1]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["spec", "replicas"], 3, "spec.replicas"),
        (["spec", "replicas"], "2", "spec.replicas"),
        (["spec", "replicas"], None, "spec.replicas"),
        (["metadata", "labels", "a"], "2", "metadata.labels.a"),
        (["metadata", "labels"], None, "metadata.labels"),
        ([*SERVE, "name"], "renamed", "spec.template.containers.serve"),
        ([*SERVE, "args"], ["serve", "-v"], "spec.template.containers.serve.args"),
        ([*SERVE, "args"], ["fetch"], "spec.template.containers.serve.args.0"),
        ([*SERVE, "args"], "serve", "spec.template.containers.serve.args"),
        ([*SERVE, "ports", 0, "name"], "web", "spec.template.containers.serve.ports.8080/TCP.name"),
        ([*SERVE, "resources", "limits", "cpu"], "2", "spec.template.containers.serve.resources.limits.cpu"),
        ([*SERVE, "resources"], "none", "spec.template.containers.serve.resources"),
        (["spec", "template", "containers"], {}, "spec.template.containers"),
    ],
)
def test_a_field_of_ours_that_is_different_or_gone_is_drift(
    path: list[Any], value: Any, expected: str
) -> None:
    assert differences(_set(live(), path, value)) == (expected,)


def test_the_same_text_with_another_value_is_drift_outside_of_quantities() -> None:
    desired = {"metadata": {"labels": {"a": "1000m"}}}
    found = {"metadata": {"labels": {"a": "1"}}}
    assert differences(found, desired) == ("metadata.labels.a",)


@pytest.mark.parametrize(
    ("owned", "expected"),
    [
        ({"f:spec": {"f:replicas": {}}}, ()),
        ({"f:spec": {"f:minReadySeconds": {}}}, ("spec.minReadySeconds",)),
        ({"f:spec": {".": {}, "f:replicas": {}}}, ()),
        ({"f:metadata": {"f:annotations": {"f:old": {}}}}, ("metadata.annotations",)),
        ({"f:metadata": {"f:labels": {"f:old": {}}}}, ("metadata.labels.old",)),
        ({"f:metadata": {"f:finalizers": {'v:"old"': {}}}}, ("metadata.finalizers",)),
        (
            {"f:spec": {"f:template": {"f:containers": {'k:{"name":"old"}': {".": {}, "f:name": {}}}}}},
            ("spec.template.containers.old",),
        ),
        ({"f:spec": {"f:template": {"f:containers": {'k:{"name":"serve"}': {"f:name": {}}}}}}, ()),
        ({"f:apiVersion": {}, "f:kind": {}}, ()),
    ],
)
def test_a_field_we_own_and_no_longer_want_is_drift(owned: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert differences(live(**owned)) == expected


def test_what_others_own_is_not_ours_to_remove() -> None:
    found = live()
    found["metadata"]["managedFields"] = [
        {"manager": naming.MANAGER, "operation": "Update", "fieldsV1": {"f:spec": {"f:x": {}}}},
        {"manager": "other", "operation": "Apply", "fieldsV1": {"f:spec": {"f:x": {}}}},
        {
            "manager": naming.MANAGER,
            "operation": "Apply",
            "subresource": "scale",
            "fieldsV1": {"f:spec": {"f:x": {}}},
        },
    ]
    assert differences(found) == ()


def test_the_owners_of_one_field_are_found() -> None:
    found = live()
    found["metadata"]["managedFields"] = [
        {"manager": "a", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {
            "manager": "b",
            "operation": "Update",
            "subresource": "scale",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        },
        {"manager": "c", "operation": "Update", "fieldsV1": {"f:spec": {"f:template": {}}}},
        {"manager": "d", "operation": "Update"},
    ]
    assert drift.owners(found, "spec", "replicas") == {"a", "b"}


def test_a_set_item_that_is_still_wanted_is_no_drift() -> None:
    desired = {"metadata": {"finalizers": ["keep"]}}
    entry = {
        "manager": naming.MANAGER,
        "operation": "Apply",
        "fieldsV1": {"f:metadata": {"f:finalizers": {'v:"keep"': {}}}},
    }
    found = {"metadata": {"finalizers": ["keep"], "managedFields": [entry]}}
    assert differences(found, desired) == ()


def test_what_a_manager_has_applied_is_found_without_defaults_and_what_others_own() -> None:
    live = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "labels": {"ours": "x", "theirs": "y"},
            "finalizers": ["theirs", "ours"],
            "managedFields": [
                {
                    "manager": "modelyard",
                    "operation": "Apply",
                    "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:ours": {}}, "f:finalizers": {'v:"ours"': {}}},
                        "f:spec": {
                            "f:gone": {},
                            "f:empty": {},
                            "f:containers": {
                                'k:{"name":"serve"}': {".": {}, "f:name": {}, "f:args": {}, "f:image": {}}
                            },
                        },
                    },
                },
                {"manager": "else", "operation": "Update", "fieldsV1": {"f:spec": {"f:other": {}}}},
            ],
        },
        "spec": {
            "other": 1,
            "empty": {},
            "containers": [
                {"name": "sidecar", "image": "s"},
                {"name": "serve", "image": "i", "args": ["a", "b"], "terminationMessagePath": "/default"},
            ],
        },
    }
    assert drift.applied(live, "modelyard") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"labels": {"ours": "x"}, "finalizers": ["ours"]},
        "spec": {"empty": {}, "containers": [{"name": "serve", "image": "i", "args": ["a", "b"]}]},
    }
