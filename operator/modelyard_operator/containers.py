"""Finds out from the state of one container why it doesn't get its pod ready.

Called by `failures` for the container that fetches and the one that serves. The runtime's own words (its termination
message) come first; what only the outside can see is told in the same shape. Pure.
"""

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard_operator import api, conditions, explanations
from modelyard_operator.objects import Manifest

_IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_NOT_STARTED_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_RESTARTS_OF_A_LOOP = 2
# A container that is told to end exits so: by itself after SIGTERM, by SIGKILL, by SIGTERM.
_EXITS_WHEN_TOLD = frozenset({0, 137, 143})


class _TerminationMessage(msgspec.Struct, frozen=True):
    """What the runtime writes when it ends; other fields are of no interest here."""

    reason: str
    message: str


def diagnose(pod: Manifest, status: Mapping[str, Any]) -> api.Failure | None:
    """Give why a container doesn't do its part, None while nothing has failed; `status` is its containerStatus."""
    if not status or status.get("ready"):
        return None
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    found = _of_start(pod, status, waiting)
    if found is not None:
        return found
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    if not ended:
        return None
    return _of_exit(pod, status, ended, is_looping=waiting.get("reason") == "CrashLoopBackOff")


def is_up_but_not_ready(status: Mapping[str, Any]) -> bool:
    """Says whether a container runs and its probes don't succeed."""
    return bool(status) and not status.get("ready") and "running" in (status.get("state") or {})


def _of_start(pod: Manifest, status: Mapping[str, Any], waiting: Mapping[str, Any]) -> api.Failure | None:
    """Give why a container was never started."""
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _IMAGE_REASONS:
        volumes = pod["spec"].get("volumes") or ()
        mounted = [volume["image"].get("reference", "") for volume in volumes if volume.get("image")]
        text = explanations.image(status.get("image", ""), reason, message, filter(None, mounted))
        return api.Failure(conditions.IMAGE_PULL_FAILED, text)
    if reason not in _NOT_STARTED_REASONS:
        return None
    missing = explanations.secret(message)
    if missing is not None:
        return api.Failure(conditions.SECRET_MISSING, missing)
    text = f"Container {status['name']} can't be started: {message or reason}"
    return api.Failure(conditions.CONTAINER_NOT_STARTED, text)


def _of_exit(
    pod: Manifest, status: Mapping[str, Any], ended: Mapping[str, Any], *, is_looping: bool
) -> api.Failure | None:
    """Give why a container ended."""
    name, exit_code = status["name"], ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        text = (
            f"Container {name} needed more memory than its limit of {_memory_limit(pod, name)} and was killed. Raise"
            " spec.resources.limits.memory."
        )
        return api.Failure(conditions.OUT_OF_MEMORY, text, exit_code=exit_code)
    told = _told(ended.get("message") or "")
    if told is not None and exit_code != 0:
        return api.Failure(told.reason, told.message, exit_code=exit_code)
    if status.get("started") is False and _outlasted_probe(pod, name, ended):
        return api.Failure(conditions.PROBE_FAILED, _restarted(pod, name), exit_code=exit_code)
    if exit_code != 0 and (is_looping or status.get("restartCount", 0) >= _RESTARTS_OF_A_LOOP):
        tail = (ended.get("message") or "").strip() or ended.get("reason", "")
        text = f"Container {name} ends again and again with exit code {exit_code}. Its last words: {tail}"
        return api.Failure(conditions.CRASH_LOOP, text, exit_code=exit_code)
    return None


def probe(pod: Manifest, name: str) -> str:
    """Give in words what a container is asked until it counts as started."""
    spec = _spec(pod, name)
    asked = spec.get("startupProbe") or spec.get("readinessProbe") or {}
    return f"its startup probe, GET {asked.get('httpGet', {}).get('path', '?')}"


def _outlasted_probe(pod: Manifest, name: str, ended: Mapping[str, Any]) -> bool:
    """Says whether a container was ended from outside after its startup probe had run out, which is not just a kill."""
    seconds = _startup_seconds(pod, name)
    if not seconds or ended.get("exitCode") not in _EXITS_WHEN_TOLD:
        return False
    try:
        times = [datetime.datetime.fromisoformat(ended[field]) for field in ("startedAt", "finishedAt")]
    except (KeyError, ValueError):
        return False
    return (times[1] - times[0]).total_seconds() >= seconds - 1  # times are whole seconds


def _startup_seconds(pod: Manifest, name: str) -> int:
    asked = _spec(pod, name).get("startupProbe") or {}
    return int(asked.get("periodSeconds", 10) * asked.get("failureThreshold", 3)) if asked else 0


def _restarted(pod: Manifest, name: str) -> str:
    return (
        f"Container {name} ran and was restarted by the kubelet: {probe(pod, name)}, did not succeed within"
        f" {_startup_seconds(pod, name)} s. The model takes longer to load, or its log says what it waits for."
    )


def _told(message: str) -> _TerminationMessage | None:
    """Give what the runtime said, if it was the runtime: the file can also hold the tail of a log."""
    try:
        told = msgspec.json.decode(message, type=_TerminationMessage)
    except msgspec.DecodeError:
        return None
    return told if told.reason in conditions.RUNTIME_FAILURES else None


def _memory_limit(pod: Manifest, name: str) -> str:
    limits = _spec(pod, name).get("resources", {}).get("limits", {})
    return str(limits.get("memory", "unknown size"))


def _spec(pod: Manifest, name: str) -> Mapping[str, Any]:
    specs = (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
    found: Mapping[str, Any] = next((each for each in specs if each["name"] == name), {})
    return found
