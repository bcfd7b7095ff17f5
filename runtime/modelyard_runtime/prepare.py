"""The `prepare` command: tries a fetched model, and converts it for a faster engine, once for all starts of `serve`.

Called by `__main__` in an init container without credentials or network. A child process does both (`trial`), this one
supervises it. It fails where `serve` would fail, so that a model that can't be served is told early; whatever goes
wrong beyond that is a reason for the original to serve. It must not import NumPy or a model's library before the child
has ended.
"""

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from modelyard_runtime import child, errors, lifecycle, settings, trial

if TYPE_CHECKING:
    from modelyard_runtime import loading

_log = logging.getLogger(__name__)
BUDGET_SECONDS = 60.0  # a forest takes a second or two, the slowest of skl2onnx's converters fifteen


class Decided(msgspec.Struct, frozen=True):
    """What the child decided: `acceleration.description.Acceleration`, in a module that needs no NumPy."""

    engine: str
    reason: str
    checked_rows: int = 0


def prepare(
    options: settings.PrepareSettings, enter: Callable[[lifecycle.Stage], None] = lambda _stage: None
) -> Decided:
    """Leaves the record of the trial and a prepared folder, and gives what it decided; raises `StartFailure`."""
    _keep(lambda: trial.forget(options.artifact_dir))
    tried = trial.Trial(options, functools.partial(_convert, options))
    with tried.child:
        try:
            passed = tried.result()
        except errors.StartFailure:
            enter(tried.stage)
            raise
        _keep(lambda: trial.record(options.artifact_dir, passed))
        heard = tried.child.hear(BUDGET_SECONDS)
    if isinstance(heard, child.Ended):
        return _give_up(options, passed, heard)
    return msgspec.json.decode(heard, type=Decided)


def _keep(change: Callable[[], None]) -> None:
    """Changes the record; where that fails, `serve` holds a trial of its own."""
    try:
        change()
    except OSError as error:
        _log.warning("the trial is not recorded", extra={"fields": {"problem": error.strerror}})


def _convert(options: settings.PrepareSettings, tried: "loading.Tried", tell: child.Tell) -> None:
    """What the child does with a model that has passed."""
    from modelyard_runtime import converting  # noqa: PLC0415

    tell(msgspec.json.encode(converting.convert(options, tried)))


def _give_up(options: settings.PrepareSettings, passed: trial.Passed, ended: child.Ended) -> Decided:
    """Leaves and gives the reason why the original serves."""
    from modelyard_runtime import converting  # noqa: PLC0415

    how = {
        child.How.TOO_LONG: f"it took longer than {BUDGET_SECONDS:.0f} s",
        child.How.TOO_MUCH: "it needed more memory than there is",
        child.How.CRASHED: f"it crashed ({ended.signal_name})",
    }.get(ended.how, f"it failed (exit code {ended.number})")
    given_up = converting.give_up(options, passed, f"the conversion was given up: {how}")
    return msgspec.convert(given_up, Decided, from_attributes=True)
