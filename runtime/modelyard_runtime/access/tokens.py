"""Bearer tokens: who is asking, and whether too often.

`server` reads them once so that a missing Secret ends the start, `http.gate` asks for a verdict on each request. A
token is kept as its SHA-256 only, compared in constant time with every client's, and never in a message or a log.
"""

import dataclasses
import hashlib
import hmac
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from modelyard_runtime import errors, secretfiles

_log = logging.getLogger(__name__)
SHORTEST = 16  # characters: what is shorter can be guessed over the network
RATE_SUFFIX = ".rate"
_LOOK_AGAIN_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """One holder of a token; `requests_per_second` is None where nothing bounds it."""

    name: str
    token_digest: bytes = dataclasses.field(repr=False)
    requests_per_second: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request: `problem` is None when it may go on; `retry_after_seconds` when it came too soon."""

    client: str | None
    problem: str | None = None
    retry_after_seconds: int | None = None


def parse(files: Mapping[str, bytes]) -> tuple[Client, ...]:
    """Gives the clients in a Secret's keys; raises `ValueError` naming the key, never the token."""
    clients = []
    for name, content in files.items():
        if name.endswith(RATE_SUFFIX) and name.removesuffix(RATE_SUFFIX) in files:
            continue
        token = content.strip()
        if len(token) < SHORTEST:
            raise ValueError(
                f"the key {name!r} holds a token of {len(token)} characters; use {SHORTEST} or more"
            )
        rate = files.get(name + RATE_SUFFIX)
        clients.append(
            Client(name, _digest(token), None if rate is None else _rate(name + RATE_SUFFIX, rate))
        )
    if not clients:
        raise ValueError("there is no token; the Secret is missing or has no keys")
    return tuple(clients)


class Tokens:
    """The tokens of a folder, followed as they change."""

    def __init__(self, folder: Path, clock: Callable[[], float], workers: int = 1) -> None:
        self._folder = folder
        self._clock = clock
        self._workers = workers  # each process counts for itself, so each grants its share
        self._clients: tuple[Client, ...] = ()
        self._buckets: dict[str, _Bucket] = {}
        self._seen: object = None
        self._look_at = clock()

    def load(self) -> None:
        """Reads the tokens; raises `StartFailure` (SettingsInvalid) when there is nothing to compare with."""
        try:
            self._read()
        except (ValueError, OSError) as error:
            raise errors.StartFailure(
                errors.Reason.SETTINGS_INVALID, f"spec.access.tokens: {_words(error)}"
            ) from None

    def verdict(self, authorization: bytes | None) -> Verdict:
        """Gives what becomes of a request with this Authorization header."""
        self._follow()
        scheme, _, token = (authorization or b"").strip().partition(b" ")
        if scheme.lower() != b"bearer" or not token:
            return Verdict(None, "this model wants a token; send the header Authorization: Bearer <token>")
        digest = _digest(token.strip())
        known = None
        for (
            client
        ) in self._clients:  # to the end, whoever it is: the time must not tell how far the search came
            if hmac.compare_digest(client.token_digest, digest):
                known = client
        if known is None:
            return Verdict(None, "the token is not one of this model's")
        bucket = self._buckets.get(known.name)
        wait_seconds = 0.0 if bucket is None else bucket.take(self._clock())
        if wait_seconds > 0:
            return Verdict(
                known.name,
                f"client {known.name!r} sends more than its {known.requests_per_second:g} requests per second",
                math.ceil(wait_seconds),
            )
        return Verdict(known.name)

    def _follow(self) -> None:
        """Reads the folder again when it has changed. What can't be read refuses everybody: a Secret was taken away."""
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_AGAIN_SECONDS
        try:
            if secretfiles.fingerprint(self._folder) != self._seen:
                self._read()
        except (ValueError, OSError) as error:
            self._clients = ()
            self._seen = None
            _log.warning("tokens refused", extra={"fields": {"problem": _words(error)}})

    def _read(self) -> None:
        seen = secretfiles.fingerprint(self._folder)
        self._clients = parse(secretfiles.read(self._folder))
        self._seen = seen
        self._look_at = self._clock() + _LOOK_AGAIN_SECONDS
        self._buckets = {
            client.name: self._buckets.get(client.name, _Bucket()).at(
                client.requests_per_second / self._workers, self._clock()
            )
            for client in self._clients
            if client.requests_per_second is not None
        }


class _Bucket:
    """A token bucket: one second's worth of requests may come at once."""

    def __init__(self) -> None:
        self._rate = 1.0
        self._level = math.inf
        self._filled_at = 0.0

    def at(self, rate: float, now: float) -> "_Bucket":
        """Gives the bucket with another rate; what was taken stays taken."""
        self._rate = rate
        self._level = min(self._level, max(rate, 1.0))
        self._filled_at = self._filled_at or now
        return self

    def take(self, now: float) -> float:
        """Takes one request and gives 0, or gives the seconds until there is one to take."""
        self._level = min(max(self._rate, 1.0), self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._level >= 1.0:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self._rate


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _rate(key: str, content: bytes) -> float:
    try:
        rate = float(content)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        raise ValueError(f"the key {key!r} holds no number of requests per second above 0")
    return rate


def _words(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
