"""The node cache is rendered as the administrator chose it, into `fetch` alone, and is read as it is rendered."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard_operator import api, cachespec, config, errors, naming
from modelyard_operator.desired import pod
from modelyard_runtime import fetchsettings


def _render(asked: dict[str, Any]) -> dict[str, Any]:
    classes = json.dumps({"default": {"image": "modelyard/runtime:1"}})
    env = {"MODELYARD_RUNTIME_CLASSES": classes, "MODELYARD_ARTIFACT_CACHE": json.dumps(asked)}
    settings = config.from_env({**env, "MODELYARD_LEADER_ELECTION": "false"})
    metadata = {"name": "iris", "namespace": "team-a", "uid": "u", "generation": 1}
    parsed = api.parse({"metadata": metadata, "spec": {"model": {"uri": "s3://models/iris"}}})
    return pod.render(parsed, "iris-0123456789", settings)


VOLUMES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a folder of the node": (
        {"type": "HostPath", "path": "/srv/models", "size": "5Gi"},
        {"hostPath": {"path": "/srv/models", "type": "DirectoryOrCreate"}},
    ),
    "a claim": (
        {"type": "PersistentVolumeClaim", "claimName": "model-cache", "size": "5Gi"},
        {"persistentVolumeClaim": {"claimName": "model-cache"}},
    ),
}


@pytest.mark.parametrize("what", VOLUMES)
def test_fetch_alone_has_the_cache(what: str) -> None:
    asked, volume = VOLUMES[what]
    body = _render(asked)["spec"]
    assert {"name": naming.CACHE_VOLUME, **volume} in body["volumes"]
    containers = [*body["initContainers"], *body["containers"]]
    fetch, others = containers[0], containers[1:]
    assert {"name": naming.CACHE_VOLUME, "mountPath": "/mnt/cache"} in fetch["volumeMounts"]
    assert not any(naming.CACHE_VOLUME in str(each["volumeMounts"]) for each in others)
    told = fetchsettings.read({each["name"]: each["value"] for each in fetch["env"] if "value" in each})
    assert told.cache == fetchsettings.CacheSettings(Path("/mnt/cache"), 5 * 2**30, "team-a")


def test_there_is_none_unless_it_is_asked_for() -> None:
    assert "cache" not in str(_render({}))
    assert _render({}) == _render({"type": "None", "path": "/srv/models"})


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"type": "Disk"}, "type"),
        ({"path": "cache"}, "absolute path"),
        ({"path": "/"}, "absolute path"),
        ({"path": "/var/../etc"}, "absolute path"),
        ({"type": "PersistentVolumeClaim"}, "name the claim"),
        ({"type": "PersistentVolumeClaim", "claimName": "A claim"}, "name the claim"),
        ({"size": "much"}, "for example 20Gi"),
        ({"size": "0"}, "for example 20Gi"),
        ({"medium": "Memory"}, "medium"),
    ],
)
def test_a_wrong_choice_is_named(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(errors.ConfigInvalid, match=says) as caught:
        cachespec.read({"MODELYARD_ARTIFACT_CACHE": json.dumps(asked)})
    assert str(caught.value).startswith("MODELYARD_ARTIFACT_CACHE: ")


def test_the_default_is_nothing() -> None:
    assert cachespec.read({}) == cachespec.ArtifactCache()
