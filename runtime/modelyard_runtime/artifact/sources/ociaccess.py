"""Who may pull from a registry: the credentials for it, and what a registry asks for when it has refused.

Used by `sources.oci`. Credentials count for the registry they are for and for no other: an entry of a
`.dockerconfigjson` for the host (and the path) it names, OCI_USERNAME and OCI_PASSWORD for the registry of the URI.
Pure.
"""

import base64
import binascii
import dataclasses
import re
import urllib.parse

import msgspec

from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import references

DOCKER_CONFIG = ".dockerconfigjson"  # the key of Secrets of the type kubernetes.io/dockerconfigjson
KEY_NAMES = f"{DOCKER_CONFIG}, or OCI_USERNAME and OCI_PASSWORD,"
# Docker's own registry goes by several names.
_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_DOCKER_HUB_API = "registry-1.docker.io"
_CHALLENGE = re.compile(r"\s*(?P<scheme>[A-Za-z]+)\s+(?P<rest>.*)", re.DOTALL)
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')
_LONGEST_CHALLENGE = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Login:
    """A user and a password or token for one registry."""

    username: str
    password: str = dataclasses.field(repr=False)

    @property
    def header(self) -> str:
        """The value of an Authorization header."""
        token = base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")
        return f"Basic {token}"


@dataclasses.dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry asks for: `Basic`, or a `Bearer` token that the service at `realm` gives out."""

    scheme: str
    realm: str
    service: str


class _Entry(msgspec.Struct, frozen=True):
    auth: str = ""
    username: str = ""
    password: str = ""


class _Config(msgspec.Struct, frozen=True):
    auths: dict[str, _Entry]


def api_host(registry: str) -> str:
    """Gives the host of a registry's API."""
    return _DOCKER_HUB_API if registry.lower() in _DOCKER_HUB else registry


def login(image: references.Image, credentials: secrets.Credentials) -> Login | None:
    """Gives the login for an image's registry; raises `StartFailure` (SettingsInvalid)."""
    username = credentials.get("OCI_USERNAME")
    if username is not None:
        return Login(username, credentials.get("OCI_PASSWORD") or "")
    config = credentials.get(DOCKER_CONFIG)
    return _of_config(config, image) if config is not None else None


def _of_config(text: str, image: references.Image) -> Login | None:
    """Gives the login of the entry that fits best: the one with the longest path that the repository is below."""
    try:
        entries = msgspec.json.decode(text, type=_Config).auths
    except msgspec.DecodeError:
        raise _invalid(
            "is not the JSON that `docker login` and `kubectl create secret docker-registry` write"
        ) from None
    fitting = sorted(
        ((len(path), entry) for key, entry in entries.items() if (path := _path_for(key, image)) is not None),
        key=lambda found: -found[0],
    )
    return _login(fitting[0][1]) if fitting else None


def _path_for(key: str, image: references.Image) -> str | None:
    """Gives the path of an entry that an image belongs to; None when it doesn't."""
    host, _, path = re.sub(r"^https?://", "", key).partition("/")
    if api_host(host).lower() != api_host(image.registry).lower():
        return None
    path = path.strip("/")
    if path in ("", "v1", "v2"):
        return ""
    return path if f"{image.repository}/".startswith(f"{path}/") else None


def _login(entry: _Entry) -> Login | None:
    if entry.username:
        return Login(entry.username, entry.password)
    try:
        username, colon, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise _invalid("has an `auth` that is not base64 of user:password") from None
    return Login(username, password) if colon else None


def _invalid(problem: str) -> errors.StartFailure:
    return errors.StartFailure(
        errors.Reason.SETTINGS_INVALID, f"the key {DOCKER_CONFIG} of the credentials Secret {problem}"
    )


def parse_challenge(header: str) -> Challenge | None:
    """Gives what a WWW-Authenticate header asks for, None when it is nothing that is known here."""
    match = _CHALLENGE.fullmatch(header[:_LONGEST_CHALLENGE])
    if match is None or match["scheme"].lower() not in ("basic", "bearer"):
        return None
    parameters = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(match["rest"])}
    return Challenge(match["scheme"].lower(), parameters.get("realm", ""), parameters.get("service", ""))


def token_url(challenge: Challenge, repository: str, allow_http: bool) -> str | None:
    """Gives the URL of a token to pull one repository; None when the realm is no URL that a password may go to."""
    try:
        parts = urllib.parse.urlsplit(challenge.realm)
    except ValueError:
        return None
    if not parts.hostname or parts.scheme not in ("https", *(("http",) if allow_http else ())):
        return None
    asked = [*urllib.parse.parse_qsl(parts.query), ("scope", f"repository:{repository}:pull")]
    if challenge.service:
        asked.append(("service", challenge.service))
    return urllib.parse.urlunsplit(
        (parts.scheme, parts.netloc, parts.path, urllib.parse.urlencode(asked), "")
    )
