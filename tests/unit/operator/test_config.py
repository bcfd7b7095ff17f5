"""`config.from_env`: defaults, and what a wrong value is told."""

import re

import pytest

from modelyard_operator import config, errors

CLASSES = {"MODELYARD_RUNTIME_CLASSES": '{"default": {"image": "runtime:1"}}'}
NEEDED = {**CLASSES, "MODELYARD_LEADER_ELECTION": "false"}


def test_only_the_runtime_classes_and_a_word_on_other_operators_are_needed() -> None:
    settings = config.from_env(NEEDED)
    assert settings == config.OperatorConfig(
        runtime_classes={"default": config.RuntimeClass(image="runtime:1")}
    )
    assert settings.artifact_bytes == 10 * 2**30


def test_a_runtime_class_lists_what_it_serves_and_whether_code_may_run() -> None:
    listed = (
        '{"own": {"image": "x", "formats": ["custom", "mlflow"], "allowCode": true, "accessLog": 0.5,'
        ' "otlpEndpoint": "http://collector:4318"}}'
    )
    settings = config.from_env({**NEEDED, "MODELYARD_RUNTIME_CLASSES": listed})
    assert settings.runtime_classes == {
        "own": config.RuntimeClass(
            image="x",
            formats=("custom", "mlflow"),
            allow_code=True,
            access_log=0.5,
            otlp_endpoint="http://collector:4318",
        )
    }


def test_every_variable_is_read() -> None:
    settings = config.from_env(
        {
            **CLASSES,
            "MODELYARD_WATCH_NAMESPACES": " a, b ,,a",
            "MODELYARD_ALLOWED_METADATA_PREFIXES": "team.example/",
            "MODELYARD_CLUSTER_DOMAIN": "k8s.example",
            "MODELYARD_ARTIFACT_SIZE_LIMIT": "512Mi",
            "MODELYARD_WORKERS": "3",
            "MODELYARD_RESYNC_SECONDS": "1.5",
            "MODELYARD_FRESHNESS_INTERVAL_SECONDS": "2",
            "MODELYARD_FRESHNESS_GRACE_SECONDS": "3",
            "MODELYARD_LEASE_NAMESPACE": "modelyard-system",
            "MODELYARD_LEASE_NAME": "team-operator",
            "MODELYARD_HEALTH_PORT": "0",
            "MODELYARD_LOG_LEVEL": "debug",
        }
    )
    assert settings == config.OperatorConfig(
        runtime_classes={"default": config.RuntimeClass(image="runtime:1")},
        watch_namespaces=("a", "b"),
        allowed_metadata_prefixes=("team.example/",),
        cluster_domain="k8s.example",
        artifact_size_limit="512Mi",
        workers=3,
        resync_seconds=1.5,
        freshness_interval_seconds=2.0,
        freshness_grace_seconds=3.0,
        lease_namespace="modelyard-system",
        lease_name="team-operator",
        health_port=0,
        log_level="debug",
    )


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MODELYARD_RUNTIME_CLASSES", "", "Write a JSON object"),
        ("MODELYARD_RUNTIME_CLASSES", "{}", "there must be one"),
        ("MODELYARD_RUNTIME_CLASSES", '{"default": {"image": ""}}', "every class needs an image"),
        ("MODELYARD_RUNTIME_CLASSES", '{"default": {"imag": "x"}}', "imag"),
        ("MODELYARD_RUNTIME_CLASSES", '{"default": {"image": "x", "formats": ["kers"]}}', "'kers'"),
        ("MODELYARD_WATCH_NAMESPACES", "Team A", "'Team A' is no namespace name"),
        ("MODELYARD_ARTIFACT_SIZE_LIMIT", "10GB", "for example 10Gi"),
        ("MODELYARD_LEADER_ELECTION", "true", "Set MODELYARD_LEASE_NAMESPACE (in a pod: to its own)"),
        ("MODELYARD_LEADER_ELECTION", "no", "one of true, false"),
        ("MODELYARD_LEASE_NAME", "A.b", "write a name of a-z"),
        ("MODELYARD_WORKERS", "many", "from 1 to 100"),
        ("MODELYARD_WORKERS", "0", "from 1 to 100"),
        ("MODELYARD_WORKERS", "1.5", "from 1 to 100"),
        ("MODELYARD_RESYNC_SECONDS", "nan", "from 1 to 86400"),
        ("MODELYARD_HEALTH_PORT", "70000", "from 0 to 65535"),
        ("MODELYARD_LOG_LEVEL", "loud", "debug, info, warning, error"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_and_a_right_one(
    variable: str, value: str, words: str
) -> None:
    with pytest.raises(errors.ConfigInvalid, match=re.escape(words)) as refused:
        config.from_env({**NEEDED, variable: value})
    assert str(refused.value).startswith(variable)


def test_without_leader_election_a_namespace_of_the_lease_means_nothing() -> None:
    assert config.from_env({**NEEDED, "MODELYARD_LEASE_NAMESPACE": "a"}).lease_namespace == ""
