"""What holds for every spec, found out with generated ones."""

import asyncio
import copy
import json
from typing import Any

import hypothesis
import pytest

from modelyard_operator import api, revisions
from tests.support import cluster_golden, cluster_memory, cluster_strategies, cluster_world

# Runs must be repeatable, and the first example pays for the imports.
hypothesis.settings.register_profile("operator", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.load_profile("operator")


def body(spec: dict[str, Any], name: str = "iris") -> dict[str, Any]:
    metadata = {"namespace": "default", "name": name, "uid": "u", "generation": 1}
    return {"metadata": metadata, "spec": spec}


def revision(spec: dict[str, Any], name: str = "iris") -> str:
    return revisions.name(api.parse(body(spec, name)))


@hypothesis.given(cluster_strategies.SPECS)
def test_rendering_is_deterministic_and_leaves_its_input_alone(spec: dict[str, Any]) -> None:
    before = copy.deepcopy(spec)
    first = cluster_golden.render(body(spec))
    assert cluster_golden.render(body(spec)) == first
    assert spec == before


@hypothesis.given(cluster_strategies.SPECS)
def test_what_was_applied_needs_no_second_apply(spec: dict[str, Any]) -> None:
    async def story() -> None:
        memory = cluster_memory.MemoryCluster()
        world = cluster_world.World(memory, memory)
        await world.create(**spec)
        await world.converge()
        memory.writes.clear()
        await world.visit()
        assert memory.writes == []

    asyncio.run(story())


@hypothesis.given(cluster_strategies.SPECS, cluster_strategies.SPECS)
def test_every_spec_is_reached_from_every_other_as_if_it_had_been_the_first(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    async def children(*specs: dict[str, Any]) -> dict[str, Any]:
        memory = cluster_memory.MemoryCluster()
        world = cluster_world.World(memory, memory)
        await world.create(**specs[0])
        await world.converge()
        for spec in specs[1:]:
            gone = {key: None for key in specs[0] if key not in spec}
            model_gone = {key: None for key in specs[0]["model"] if key not in spec["model"]}
            await memory.patch("modeldeployments", "default", "iris", {"spec": gone})
            await memory.patch("modeldeployments", "default", "iris", {"spec": {"model": model_gone}})
            memory.objects["modeldeployments", "default", "iris"].manifest["spec"] = copy.deepcopy(spec)
            await world.converge()
        return {
            kind: _sorted(memory.objects[kind, where, name].manifest.get("spec"))
            for kind, where, name in memory.objects
            if kind not in ("modeldeployments", "controllerrevisions")
        }

    reached, direct = asyncio.run(children(first, second)), asyncio.run(children(second))
    if "autoscaling" in second:
        # The number of pods is the autoscaler's, and carries over from before.
        for deployments in (reached, direct):
            assert deployments["deployments"].pop("replicas") >= 1
    assert reached == direct


def _sorted(node: Any) -> Any:
    """Give the same with every list in one order: merged lists have that of their history."""
    if isinstance(node, dict):
        return {key: _sorted(child) for key, child in node.items()}
    if isinstance(node, list):
        return sorted((_sorted(child) for child in node), key=lambda child: json.dumps(child, sort_keys=True))
    return node


@hypothesis.given(cluster_strategies.SPECS)
def test_a_revision_is_about_what_runs_and_not_about_how_many(spec: dict[str, Any]) -> None:
    other = {
        **spec,
        "replicas": 4,
        "paused": True,
        "service": {"port": 99},
        "rollout": {"strategy": "Recreate", "onFailure": "Rollback", "progressDeadlineSeconds": 11},
        "revisionHistoryLimit": 3,
        "runtime": {**spec.get("runtime", {}), "updatePolicy": "Auto"},
    }
    other.pop("autoscaling", None)
    assert revision(other) == revision(spec)


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"uri": "s3://b/k2"}},
        {"model": {"uri": "s3://b/k", "digest": "sha256:" + "a" * 64}},
        {"resources": {"limits": {"cpu": 1}}},
        {"runtime": {"class": "other"}},
        {"pod": {"drainSeconds": 31}},
    ],
)
def test_a_revision_changes_with_each_part_of_the_intent(change: dict[str, Any]) -> None:
    spec = {"model": {"uri": "s3://b/k"}}
    assert revision({**spec, **change}) != revision(spec)


def test_spelling_a_default_out_is_no_new_revision() -> None:
    spec = {"model": {"uri": "s3://b/k"}}
    spelled = {
        **spec,
        "runtime": {"class": "default", "logLevel": "info"},
        "pod": {"drainSeconds": 30, "labels": {}},
    }
    assert revision(spelled) == revision(spec)


def test_the_name_of_a_revision_never_changes_between_versions_of_the_operator() -> None:
    # A change here restarts every pod of every model at the next operator upgrade.
    spec = {
        "model": {"uri": "s3://models/iris/model.joblib", "format": "sklearn"},
        "pod": {"drainSeconds": 5},
    }
    assert revision(spec) == "iris-1f837b2609"


def test_long_names_that_begin_alike_have_different_revisions() -> None:
    spec = {"model": {"uri": "s3://b/k", "name": "same"}}
    first, second = revision(spec, "x" * 60 + "a"), revision(spec, "x" * 60 + "b")
    assert first != second
    assert max(len(first), len(second)) <= 63
