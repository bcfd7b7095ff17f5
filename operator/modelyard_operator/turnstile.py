"""Lets one model at a time adopt a newer runtime image, over the whole operator.

`sight` tells it at each visit how far a model is, and is told whether that model may go on. All it knows is what this
process has been told, so that after a restart nobody passes before every model has been looked at once: the one whose
update is under way is among them. When an update fails, nobody follows until that model is ready, is changed, or is set
to Manual. Does no I/O and knows no time.
"""

import logging
from collections.abc import Callable, Iterable

from modelyard_operator.updates import State, Turn

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # namespace, name


class Turnstile:
    """One per process."""

    def __init__(self, keys: Callable[[], Iterable[Key]], wake: Callable[[Key], None]) -> None:
        """Take `keys`, which gives all models there are, and `wake`, which has one visited soon."""
        self._keys = keys
        self._wake = wake
        self._states: dict[Key, State] = {}
        self._due: dict[Key, None] = {}  # who waits, in the order of their coming
        self._busy: dict[Key, State] = {}  # whose update is under way or has failed
        self._granted: Key | None = None
        # Who hasn't been looked at, as far as is known: all are gone through again only when nobody is left in it, so
        # that thousands that wait after a restart cost no look at thousands each.
        self._unseen: set[Key] = set()

    def report(self, key: Key, state: State) -> Turn:
        """Tell how far a model is; gives whether it may adopt the newer image that it waits for."""
        before = self._states.get(key)
        self._note(key, state)
        if state is State.FAILED is not before:
            keys = {"namespace": key[0], "model_deployment": key[1]}
            logger.warning("the update to a newer image failed; no other model is updated", extra=keys)
        if key == self._granted:
            if state is State.DUE:
                return Turn.GRANTED  # its write has not been seen yet
            self._granted = None
        if state is not State.DUE:
            if before is not state:
                self._wake_next()
            return Turn.WAITING
        return self._ask(key)

    def forget(self, key: Key) -> None:
        """Tell that a model is gone."""
        if self._states.pop(key, None) is None and key not in self._unseen:
            return
        self._unseen.discard(key)
        self._due.pop(key, None)
        self._busy.pop(key, None)
        if key == self._granted:
            self._granted = None
        self._wake_next()

    def _note(self, key: Key, state: State) -> None:
        self._states[key] = state
        self._unseen.discard(key)
        if state is State.DUE:
            self._due.setdefault(key)
        else:
            self._due.pop(key, None)
        if state in (State.UNDERWAY, State.FAILED):
            self._busy[key] = state
        else:
            self._busy.pop(key, None)

    def _ask(self, key: Key) -> Turn:
        """Answer one that waits; nothing here grows with the number of models before the last question."""
        if State.FAILED in self._busy.values():
            return Turn.HALTED
        if self._busy or self._granted is not None or not self._has_seen_all():
            return Turn.WAITING
        self._granted = key
        return Turn.GRANTED

    def _wake_next(self) -> None:
        """Have the first that waits visited when nothing is in its way any more."""
        if self._due and not self._busy and self._granted is None and self._has_seen_all():
            self._wake(next(iter(self._due)))

    def _has_seen_all(self) -> bool:
        if not self._unseen:
            self._unseen = {key for key in self._keys() if key not in self._states}
        return not self._unseen
