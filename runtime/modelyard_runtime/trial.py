"""The trial of a model: a child process loads it and lets it answer, so that a bomb is a reason and not a dead node.

`prepare` holds it in every pod, and lets the same child convert the model when it has passed; `workers` holds it before
`serve` loads what no `prepare` has tried. This process only supervises: it must never import NumPy or a model's library
for it. What has passed is recorded beside the artifact, for this version of the runtime, which brings the libraries.
"""

import functools
import importlib.metadata
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelyard_runtime import child, errors, lifecycle, logs, memory, settings
from modelyard_runtime.artifact import store
from modelyard_runtime.formats import detection

if TYPE_CHECKING:
    # It imports NumPy, and the child does so for itself.
    from modelyard_runtime import loading

_log = logging.getLogger(__name__)
FILE_NAME = "tried.json"
Options = settings.ServeSettings | settings.PrepareSettings


class Passed(msgspec.Struct, frozen=True, tag="passed"):
    """A model that can be loaded and answers."""

    digest: str
    format: str
    platform: str
    engine: str


class _Entered(msgspec.Struct, frozen=True, tag="entered"):
    stage: lifecycle.Stage


class _Refused(msgspec.Struct, frozen=True, tag="refused"):
    reason: errors.Reason
    message: str


class _Record(msgspec.Struct, frozen=True):
    """What the recorded trial was of."""

    version: str
    digest: str
    format: str


_MESSAGES = msgspec.json.Decoder(_Entered | _Refused | Passed)
Afterwards = Callable[["loading.Tried", child.Tell], object]


class Trial:
    """A trial in progress; the child of it may have more to tell after the result.

    Attributes:
        child: the process; whoever began the trial closes it.
        stage: how far the child has come.
    """

    def __init__(self, options: Options, afterwards: Afterwards | None = None) -> None:
        self._seconds = options.trial.seconds
        self._memory_bytes = options.trial.memory_bytes or memory.allowed_bytes()
        self._until = time.monotonic() + self._seconds
        self.stage = lifecycle.Stage.LOADING
        self.child = child.Child(functools.partial(_try, options, afterwards), self._memory_bytes)

    def result(self) -> Passed:
        """Gives what has passed; raises the `StartFailure` that the child raised, or one that says how it ended."""
        while True:
            heard = self.child.hear(self._until - time.monotonic())
            if isinstance(heard, child.Ended):
                raise self._failure(heard)
            message = _MESSAGES.decode(heard)
            if isinstance(message, _Refused):
                raise errors.StartFailure(message.reason, message.message)
            if isinstance(message, Passed):
                return message
            self.stage = message.stage

    def _failure(self, ended: child.Ended) -> errors.StartFailure:
        """Gives in words how a child ended that said nothing itself."""
        doing = memory.doing(self.stage)
        if ended.how is child.How.TOO_MUCH:
            return memory.exceeded(self.stage, self._memory_bytes)
        if ended.how is child.How.TOO_LONG:
            return errors.StartFailure(
                errors.Reason.LIMIT_EXCEEDED,
                f"{doing} took longer than the {self._seconds:.0f} s that a trial may take; raise "
                "spec.runtime.trialSeconds (MODELYARD_TRIAL_SECONDS), allow more CPU in spec.resources, or serve a "
                "smaller model",
            )
        if ended.how is child.How.CRASHED:
            return errors.StartFailure(
                errors.Reason.LOAD_FAILED,
                f"the model's library crashed ({ended.signal_name}): {doing} ended its process; the file is damaged "
                "or made for another version of the library: publish it again, or in another format",
            )
        return errors.StartFailure(
            errors.Reason.INTERNAL_ERROR,
            f"{doing} ended its process without a word (exit code {ended.number})",
        )


def before_serving(
    options: settings.ServeSettings,
) -> Callable[[Callable[[lifecycle.Stage], None]], None] | None:
    """Begins the trial of what `serve` is about to load, and gives what waits for its result.

    Gives None when the record says that it has passed. The artifact's folder may be read-only: nothing is recorded.
    """
    try:
        manifest, path = store.Store(options.artifact_dir).open()
        model_format = detection.require_known(path, options.model_format)
    except errors.StartFailure:
        return None  # loading will say the same, where there is somebody to hear it
    if has_passed(options.artifact_dir, manifest.digest, model_format):
        return None
    _log.info("trying the model", extra={"fields": {"digest": manifest.digest}})
    tried = Trial(options)

    def wait(enter: Callable[[lifecycle.Stage], None]) -> None:
        with tried.child:
            try:
                tried.result()
            except errors.StartFailure:
                if tried.stage is not lifecycle.Stage.LOADING:
                    enter(tried.stage)
                raise

    return wait


def _try(options: Options, afterwards: Afterwards | None, tell: child.Tell) -> None:
    """What the child does."""
    from modelyard_runtime import loading  # noqa: PLC0415 - NumPy, and what it brings

    if afterwards is None and not _log.isEnabledFor(logging.DEBUG):
        # The parent is going to load the same, and to log the same.
        logging.disable(logging.WARNING)

    def say(message: _Entered | _Refused | Passed) -> None:
        tell(msgspec.json.encode(message))

    try:
        tried = loading.attempt(options, lambda stage: say(_Entered(stage)))
    except errors.StartFailure as failure:
        say(_Refused(failure.reason, failure.message))
        return
    except Exception as error:
        # The outermost loop of the trial.
        _log.debug("the trial failed", exc_info=True)
        words = f"unexpected: {logs.describe_exception(error)}"
        say(_Refused(errors.Reason.INTERNAL_ERROR, words))
        return
    say(Passed(tried.manifest.digest, tried.model_format, tried.model.format, tried.model.engine))
    if afterwards is not None:
        afterwards(tried, tell)


def has_passed(artifact_dir: Path, digest: str, model_format: str) -> bool:
    """Says whether the record is of this artifact, read as this format by this version of the runtime."""
    try:
        recorded = msgspec.json.decode((artifact_dir / FILE_NAME).read_bytes(), type=_Record)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return False
    return recorded == _Record(_version(), digest, model_format)


def forget(artifact_dir: Path) -> None:
    """Removes the record; raises `OSError`."""
    (artifact_dir / FILE_NAME).unlink(missing_ok=True)


def record(artifact_dir: Path, passed: Passed) -> None:
    """Writes down what has passed, whole or not at all; raises `OSError`."""
    written = artifact_dir / f".{FILE_NAME}"
    written.write_bytes(msgspec.json.encode(_Record(_version(), passed.digest, passed.format)))
    written.replace(artifact_dir / FILE_NAME)


def _version() -> str:
    return importlib.metadata.version("modelyard")
