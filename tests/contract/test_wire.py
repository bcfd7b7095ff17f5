"""What the operator renders is what the runtime reads: environment, paths, ports, probes, termination reasons.

The two packages never import each other (docs/adr/0001); this test is what holds them together.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from modelyard_operator import api, conditions, config, failures, fetched, naming
from modelyard_operator.desired import pod
from modelyard_operator.observed import Observed
from modelyard_runtime import errors, fetchsettings, lifecycle, settings, variables
from modelyard_runtime.artifact import manifest
from modelyard_runtime.artifact.sources import ocivolume, pvc

FULL: dict[str, Any] = {
    "model": {
        "uri": "s3://models/iris/model.joblib",
        "format": "sklearn",
        "digest": "sha256:" + "a" * 64,
        "credentials": {"secretName": "models-s3"},
        "signature": {
            "publicKey": {"secretName": "team-key", "key": "team.pub"},
            "uri": "s3://models/iris/signature",
        },
        "name": "Iris.v2",
    },
    "runtime": {
        "logLevel": "debug",
        "workers": 3,
        "batching": {"maxSize": 5},
        "versionPolicy": "Refuse",
        "trialSeconds": 500,
    },
    "access": {
        "tokens": {"secretName": "tokens"},
        "tls": {"secretName": "certificate", "clientCertificates": "Require"},
    },
    "validation": {
        "samples": [{"inputs": {"X": [[1.0]]}, "expect": [2.0]}],
        "samplesURI": "s3://models/iris/samples.json",
    },
    "pod": {"drainSeconds": 7},
}
SMALL: dict[str, Any] = {"model": {"uri": "https://host/model.pkl"}}


def _template(spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "iris", "namespace": "default", "uid": "u", "generation": 1}
    offered = config.RuntimeClass(
        image="modelyard/runtime:1", access_log=0.25, otlp_endpoint="http://collector:4318"
    )
    own_code = config.RuntimeClass(image="modelyard/runtime:1", allow_code=True)
    runtime_classes = {"default": offered, "own-code": own_code}
    parsed = api.parse({"metadata": metadata, "spec": spec})
    return pod.render(parsed, "iris-0123456789", config.OperatorConfig(runtime_classes=runtime_classes))


def _container(template: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {
        each["name"]: each for each in (*template["spec"]["initContainers"], *template["spec"]["containers"])
    }
    return found[name]


def _environment(container: dict[str, Any], lock: str = "") -> dict[str, str]:
    """Give what the kubelet makes of a container's variables; without a lock there is no variable for it."""
    found = {item["name"]: item.get("value", lock) for item in container["env"]}
    return {name: value for name, value in found.items() if value or name != naming.ENV_LOCKED_DIGEST}


def test_fetch_reads_every_variable_that_is_rendered_for_it() -> None:
    container = _container(_template(FULL), naming.FETCH)
    read = fetchsettings.read(_environment(container))
    assert read.uri == "s3://models/iris/model.joblib"
    assert read.digest == "sha256:" + "a" * 64
    assert read.model_format == "sklearn"
    assert str(read.artifact_dir) == naming.ARTIFACT_DIR
    assert read.max_artifact_bytes == 10 * 2**30
    assert read.samples_uri == "s3://models/iris/samples.json"
    key_dir = Path(naming.SIGNATURE_KEY_DIR)
    assert read.signature == fetchsettings.SignatureSettings(
        key_dir, "team.pub", "s3://models/iris/signature"
    )
    assert settings.process_settings(_environment(container)).log_level == "debug"


def test_serve_reads_every_variable_that_is_rendered_for_it() -> None:
    container = _container(_template(FULL), naming.SERVE)
    read = settings.serve_settings(_environment(container))
    assert read.model_name == "Iris.v2"
    assert read.model_format == "sklearn"
    assert read.port == container["ports"][0]["containerPort"] == naming.HTTP_PORT
    assert read.drain_seconds == 7
    assert str(read.artifact_dir) == naming.ARTIFACT_DIR
    assert read.log_level == "debug"
    assert (read.workers, read.batch_max_size) == (3, 5)
    assert read.trial == settings.TrialLimits(500)
    assert (read.access_log_share, read.exports_spans) == (0.25, True)
    assert read.version_policy is settings.VersionPolicy.REFUSE
    assert read.accelerate
    assert read.samples == '[{"inputs":{"X":[[1.0]]},"expect":[2.0]}]'
    assert read.access == settings.Access(Path(naming.TOKENS_DIR), Path(naming.TLS_DIR), True)


def test_prepare_reads_every_variable_that_is_rendered_for_it() -> None:
    read = settings.prepare_settings(_environment(_container(_template(FULL), naming.PREPARE)))
    assert str(read.artifact_dir) == naming.ARTIFACT_DIR
    assert (read.model_format, read.accelerate) == ("sklearn", True)
    assert read.trial == settings.TrialLimits(500)
    assert read.version_policy is settings.VersionPolicy.REFUSE
    assert read.samples == '[{"inputs":{"X":[[1.0]]},"expect":[2.0]}]'


def test_code_is_allowed_where_the_runtime_class_says_so() -> None:
    for name, allowed in (("default", False), ("own-code", True)):
        template = _template({**SMALL, "runtime": {"class": name}})
        serve, prepare = (_environment(_container(template, each)) for each in (naming.SERVE, naming.PREPARE))
        assert settings.serve_settings(serve).allow_code is allowed
        assert settings.prepare_settings(prepare).allow_code is allowed


def test_a_model_that_nobody_wants_accelerated_is_tried_all_the_same() -> None:
    template = _template({**FULL, "runtime": {"accelerate": "Off"}})
    assert [each["name"] for each in template["spec"]["initContainers"]] == [naming.FETCH, naming.PREPARE]
    prepare = settings.prepare_settings(_environment(_container(template, naming.PREPARE)))
    assert not prepare.accelerate
    assert prepare.trial == settings.TrialLimits()
    assert not settings.serve_settings(_environment(_container(template, naming.SERVE))).accelerate


def test_the_small_case_needs_no_more_than_its_uri() -> None:
    template = _template(SMALL)
    assert fetchsettings.read(_environment(_container(template, naming.FETCH))).digest is None
    assert settings.serve_settings(_environment(_container(template, naming.SERVE))).model_name == "iris"


@pytest.mark.parametrize("name", [naming.FETCH, naming.PREPARE, naming.SERVE])
@pytest.mark.parametrize("spec", [FULL, SMALL], ids=["full", "small"])
def test_no_variable_is_rendered_that_the_runtime_does_not_know(spec: dict[str, Any], name: str) -> None:
    source = "".join(inspect.getsource(module) for module in (settings, fetchsettings, variables))
    for variable in _environment(_container(_template(spec), name)):
        assert f'"{variable}"' in source


def test_fetch_and_serve_read_the_lock_of_an_unpinned_revision() -> None:
    template = _template(SMALL)
    for name in (naming.FETCH, naming.SERVE):
        container = _container(template, name)
        (variable,) = [each for each in container["env"] if each["name"] == naming.ENV_LOCKED_DIGEST]
        lock = variable["valueFrom"]["configMapKeyRef"]
        assert lock == {"name": naming.lock_name("iris-0123456789"), "key": "digest", "optional": True}
        read = fetchsettings.read if name == naming.FETCH else settings.serve_settings
        assert read(_environment(container)).locked_digest is None
        assert read(_environment(container, "sha256:" + "a" * 64)).locked_digest == "sha256:" + "a" * 64
    assert naming.ENV_LOCKED_DIGEST not in str(_template(FULL))


def test_fetch_tells_what_it_has_fetched_as_the_operator_reads_it() -> None:
    digest = "sha256:" + "a" * 64
    report = manifest.report(manifest.Manifest("s3://b/k", digest, "content/k", 7), "onnx")
    ended = {"exitCode": 0, "message": report.decode()}
    status = {"initContainerStatuses": [{"name": naming.FETCH, "state": {"terminated": ended}}]}
    assert fetched.of_pod({"metadata": {"name": "pod"}, "status": status}) == fetched.Fetched(digest, "onnx")
    assert all(fetched.read(json.dumps({"digest": digest, "format": each})) for each in variables.FORMATS)


def test_credentials_reach_fetch_only_and_as_files() -> None:
    template = _template(FULL)
    fetch = _container(template, naming.FETCH)
    (mount,) = [each for each in fetch["volumeMounts"] if each["name"] == naming.CREDENTIALS_VOLUME]
    assert str(fetchsettings.read(_environment(fetch)).credentials_dir) == mount["mountPath"]
    assert mount["readOnly"]
    (volume,) = [each for each in template["spec"]["volumes"] if each["name"] == naming.CREDENTIALS_VOLUME]
    assert volume["secret"] == {"secretName": "models-s3", "optional": True, "defaultMode": 0o440}
    for name in (naming.PREPARE, naming.SERVE):
        mounted = {each["name"] for each in _container(template, name)["volumeMounts"]}
        assert naming.CREDENTIALS_VOLUME not in mounted


@pytest.mark.parametrize(
    ("uri", "mounted"),
    [
        ("pvc://team.models/iris.joblib", f"{pvc.FOLDER}/team.models"),
        (
            "oci+volume://r:5000/a/iris:1/models",
            f"{ocivolume.FOLDER}/{ocivolume.folder_of('r:5000/a/iris:1')}",
        ),
    ],
)
def test_a_volume_is_mounted_where_fetch_looks_for_it_and_nowhere_else(uri: str, mounted: str) -> None:
    template = _template({"model": {"uri": uri}})
    fetch = _container(template, naming.FETCH)
    mount_dir = fetchsettings.read(_environment(fetch)).mount_dir
    (mount,) = [each for each in fetch["volumeMounts"] if each["name"] == naming.source_volume(0)]
    assert (mount["mountPath"], mount["readOnly"]) == (str(mount_dir / mounted), True)
    for name in (naming.PREPARE, naming.SERVE):
        others = {each["name"] for each in _container(template, name)["volumeMounts"]}
        assert naming.source_volume(0) not in others


def test_the_commands_and_the_grace_period_fit() -> None:
    template = _template(FULL)
    assert _container(template, naming.FETCH)["args"] == ["fetch"]
    assert _container(template, naming.PREPARE)["args"] == ["prepare"]
    serve = _container(template, naming.SERVE)
    assert serve["args"] == ["serve"]
    waits = serve["lifecycle"]["preStop"]["sleep"]["seconds"] + 7
    assert template["spec"]["terminationGracePeriodSeconds"] > waits


def test_both_sides_have_the_same_closed_list_of_reasons() -> None:
    assert set(conditions.RUNTIME_FAILURES) == {reason.value for reason in errors.Reason}


@pytest.mark.parametrize("reason", list(errors.Reason), ids=lambda reason: str(reason.value))
def test_what_the_runtime_says_last_is_what_the_status_says(reason: errors.Reason) -> None:
    failure = errors.StartFailure(reason, "the model is missing; upload it")
    ended = {
        "exitCode": reason.exit_code,
        "message": errors.termination_message(failure, lifecycle.Stage.LOADING),
    }
    broken = {
        "metadata": {"name": "iris-1", "labels": {naming.LABEL_REVISION: "iris-r"}},
        "spec": {"containers": []},
        "status": {"containerStatuses": [{"name": naming.SERVE, "state": {"terminated": ended}}]},
    }
    told = failures.diagnose("iris-r", Observed(pods=(broken,)))
    assert told is not None
    assert (told.reason, told.message, told.exit_code, told.pod) == (
        reason.value,
        "the model is missing; upload it",
        reason.exit_code,
        "iris-1",
    )


def test_only_what_the_runtime_would_try_again_counts_as_passing() -> None:
    retried = {reason.value for reason in errors.Reason if reason.is_retryable}
    assert retried <= conditions.MAY_PASS
