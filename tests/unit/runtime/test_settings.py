"""Settings come out of the environment whole, or with the variable's name and the remedy."""

from pathlib import Path

import pytest

from modelyard_runtime import errors, fetchsettings, settings

FETCH = {"MODELYARD_MODEL_URI": "s3://models/iris/model.joblib"}
SERVE = {"MODELYARD_MODEL_NAME": "iris"}


def test_fetch_has_defaults_for_everything_but_the_uri() -> None:
    assert fetchsettings.read(FETCH) == fetchsettings.FetchSettings(
        uri="s3://models/iris/model.joblib",
        artifact_dir=Path("/mnt/artifact"),
        max_artifact_bytes=10 * 1024**3,
    )


def test_serve_has_defaults_for_everything_but_the_name() -> None:
    assert settings.serve_settings(SERVE) == settings.ServeSettings(
        model_name="iris",
        artifact_dir=Path("/mnt/artifact"),
        port=8080,
        drain_seconds=30,
        max_body_bytes=16777216,
        log_level="info",
    )


def test_every_variable_of_fetch_arrives() -> None:
    environment = {
        "MODELYARD_MODEL_URI": "https://host/m.pkl",
        "MODELYARD_MODEL_DIGEST": "sha256:" + "0f" * 32,
        "MODELYARD_MODEL_FORMAT": "sklearn",
        "MODELYARD_MAX_ARTIFACT_BYTES": "1000",
        "MODELYARD_ARTIFACT_DIR": "/data",
        "MODELYARD_LOCKED_DIGEST": "sha256:" + "ab" * 32,
        "MODELYARD_CREDENTIALS_DIR": "/mnt/credentials",
        "MODELYARD_CREDENTIALS_SECRET": "models",
    }
    assert fetchsettings.read(environment) == fetchsettings.FetchSettings(
        uri="https://host/m.pkl",
        artifact_dir=Path("/data"),
        digest="sha256:" + "0f" * 32,
        model_format="sklearn",
        max_artifact_bytes=1000,
        locked_digest="sha256:" + "ab" * 32,
        credentials_dir=Path("/mnt/credentials"),
        credentials_secret="models",
    )


def test_every_variable_of_serve_arrives() -> None:
    environment = {
        "MODELYARD_MODEL_NAME": "iris.v2_b-c",
        "MODELYARD_MODEL_FORMAT": "sklearn",
        "MODELYARD_ARTIFACT_DIR": "/data",
        "MODELYARD_PORT": "9000",
        "MODELYARD_DRAIN_SECONDS": "0",
        "MODELYARD_MAX_BODY_BYTES": "1",
        "MODELYARD_LOG_LEVEL": "Warning",
        "MODELYARD_VERSION_POLICY": "Refuse",
        "MODELYARD_TRIAL_SECONDS": "900",
        "MODELYARD_TRIAL_MEMORY_BYTES": "1048576",
    }
    assert settings.serve_settings(environment) == settings.ServeSettings(
        model_name="iris.v2_b-c",
        artifact_dir=Path("/data"),
        model_format="sklearn",
        port=9000,
        drain_seconds=0,
        max_body_bytes=1,
        log_level="warning",
        version_policy=settings.VersionPolicy.REFUSE,
        trial=settings.TrialLimits(900, 1048576),
    )
    prepared = settings.prepare_settings(environment)
    assert prepared.trial == settings.TrialLimits(900, 1048576)
    assert settings.prepare_settings({}).trial == settings.TrialLimits(240, None)


WRONG_FETCH = {
    "no URI": ({"MODELYARD_MODEL_URI": ""}, "MODELYARD_MODEL_URI"),
    "a digest without its algorithm": ({"MODELYARD_MODEL_DIGEST": "0f" * 32}, "MODELYARD_MODEL_DIGEST"),
    "a digest in capitals": ({"MODELYARD_MODEL_DIGEST": "sha256:" + "0F" * 32}, "MODELYARD_MODEL_DIGEST"),
    "an unknown format": ({"MODELYARD_MODEL_FORMAT": "excel"}, "MODELYARD_MODEL_FORMAT"),
    "a size with a unit": ({"MODELYARD_MAX_ARTIFACT_BYTES": "10Gi"}, "MODELYARD_MAX_ARTIFACT_BYTES"),
    "a size of nothing": ({"MODELYARD_MAX_ARTIFACT_BYTES": "0"}, "MODELYARD_MAX_ARTIFACT_BYTES"),
    "a size in superscript": ({"MODELYARD_MAX_ARTIFACT_BYTES": "10²"}, "MODELYARD_MAX_ARTIFACT_BYTES"),
    "a size beyond any disk": ({"MODELYARD_MAX_ARTIFACT_BYTES": "9" * 5000}, "MODELYARD_MAX_ARTIFACT_BYTES"),
    "a relative directory": ({"MODELYARD_ARTIFACT_DIR": "artifact"}, "MODELYARD_ARTIFACT_DIR"),
    "an unknown log level": ({"MODELYARD_LOG_LEVEL": "loud"}, "MODELYARD_LOG_LEVEL"),
}


@pytest.mark.parametrize(("changes", "variable"), WRONG_FETCH.values(), ids=WRONG_FETCH)
def test_a_wrong_value_for_fetch_is_named_by_its_variable(changes: dict[str, str], variable: str) -> None:
    with pytest.raises(errors.StartFailure) as caught:
        fetchsettings.read(FETCH | changes)
    assert caught.value.reason is errors.Reason.SETTINGS_INVALID
    assert caught.value.message.startswith(variable + ": ")
    assert len(caught.value.message) < 300


WRONG_SERVE = {
    "no name": ({"MODELYARD_MODEL_NAME": ""}, "MODELYARD_MODEL_NAME"),
    "a name with a slash": ({"MODELYARD_MODEL_NAME": "a/b"}, "MODELYARD_MODEL_NAME"),
    "a name that ends with a dot": ({"MODELYARD_MODEL_NAME": "a."}, "MODELYARD_MODEL_NAME"),
    "a name that is too long": ({"MODELYARD_MODEL_NAME": "a" * 254}, "MODELYARD_MODEL_NAME"),
    "a port beyond the last": ({"MODELYARD_PORT": "65536"}, "MODELYARD_PORT"),
    "a negative drain": ({"MODELYARD_DRAIN_SECONDS": "-1"}, "MODELYARD_DRAIN_SECONDS"),
    "no body at all": ({"MODELYARD_MAX_BODY_BYTES": "0"}, "MODELYARD_MAX_BODY_BYTES"),
    "an unknown policy": ({"MODELYARD_VERSION_POLICY": "refuse"}, "MODELYARD_VERSION_POLICY"),
    "a trial of no time": ({"MODELYARD_TRIAL_SECONDS": "0"}, "MODELYARD_TRIAL_SECONDS"),
    "memory with a unit": ({"MODELYARD_TRIAL_MEMORY_BYTES": "1Gi"}, "MODELYARD_TRIAL_MEMORY_BYTES"),
}


@pytest.mark.parametrize(("changes", "variable"), WRONG_SERVE.values(), ids=WRONG_SERVE)
def test_a_wrong_value_for_serve_is_named_by_its_variable(changes: dict[str, str], variable: str) -> None:
    with pytest.raises(errors.StartFailure) as caught:
        settings.serve_settings(SERVE | changes)
    assert caught.value.reason is errors.Reason.SETTINGS_INVALID
    assert caught.value.message.startswith(variable + ": ")


def test_a_wrong_log_level_still_leaves_a_way_to_say_so() -> None:
    process = settings.process_settings({"MODELYARD_LOG_LEVEL": "loud"})
    assert process == settings.ProcessSettings("info", Path("/dev/termination-log"))
