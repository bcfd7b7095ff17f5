"""`api.parse`, the one reader of raw resources. tests/integration/test_crd.py asks an API server the same questions."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from modelyard_operator import api, conditions, crd, errors
from tests.support import cluster_specs


def parse(spec: Any, name: str = "iris") -> api.ModelDeployment:
    metadata = {"namespace": "default", "name": name, "uid": "u", "generation": 1}
    return api.parse({"metadata": metadata, "spec": spec})


@pytest.mark.parametrize("sentence", cluster_specs.GOOD)
def test_a_good_spec_is_understood(sentence: str) -> None:
    parse(cluster_specs.GOOD[sentence])


@pytest.mark.parametrize("sentence", cluster_specs.BAD)
def test_a_bad_spec_is_stalled_with_the_field_and_the_remedy(sentence: str) -> None:
    spec, words = cluster_specs.BAD[sentence]
    with pytest.raises(errors.Stalled, match=re.escape(words)) as refused:
        parse(spec)
    assert refused.value.reason == conditions.SPEC_INVALID
    assert refused.value.message.startswith("spec")


@pytest.mark.parametrize("name", cluster_specs.BAD_NAMES)
def test_a_bad_name_is_stalled(name: str) -> None:
    with pytest.raises(errors.Stalled, match=re.escape(cluster_specs.BAD_NAMES[name])):
        parse(cluster_specs.spec(), name)


def test_a_spec_that_is_missing_altogether_is_stalled() -> None:
    with pytest.raises(errors.Stalled, match="spec"):
        parse(None)


def test_a_message_never_repeats_a_password() -> None:
    with pytest.raises(errors.Stalled) as refused:
        parse(cluster_specs.spec(model={"uri": "https://me:hunter2@host/iris"}))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "fewest", "most"),
    [
        ({}, 1, 1),
        ({"replicas": 0}, 0, 0),
        ({"replicas": 3}, 3, 3),
        ({"autoscaling": {"maxReplicas": 4}}, 1, 4),
        ({"autoscaling": {"minReplicas": 2, "maxReplicas": 4}}, 2, 4),
    ],
)
def test_replicas_have_a_fewest_and_a_most(fields: dict[str, Any], fewest: int, most: int) -> None:
    found = parse(cluster_specs.spec(**fields))
    assert (found.fewest_replicas, found.most_replicas) == (fewest, most)


def test_the_model_is_called_after_the_resource_unless_it_has_a_name() -> None:
    assert parse(cluster_specs.spec()).model_name == "iris"
    assert parse(cluster_specs.spec(model={"name": "flowers"})).model_name == "flowers"


def test_the_spec_has_at_most_80_leaf_fields_and_all_are_described() -> None:
    root = crd.manifest()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    leaves = [field for field in crd.fields(root["spec"], "spec") if field.type != "object"]
    assert len(leaves) <= 80
    everything = [*crd.fields(root["spec"], "spec"), *crd.fields(root["status"], "status")]
    silent = [
        field.path for field in everything if not field.description and not field.path.endswith(("[]", ".*"))
    ]
    assert silent == []


def test_only_the_status_has_a_default_because_others_would_fight_gitops_tools() -> None:
    root = crd.manifest()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    assert root["status"]["default"] == {"observedGeneration": -1}
    assert "default" not in set(_keys(root["spec"]))


def _keys(node: Any) -> Iterator[str]:
    for key, child in node.items() if isinstance(node, dict) else ():
        yield key
        yield from _keys(child)
