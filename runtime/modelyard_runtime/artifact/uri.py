"""Model URIs: what they may look like, and how they are shown without their secrets.

Called by `artifact.fetch` before anything is opened. Pure: it never resolves a name or touches a path.
`Location.shown` is the only form of a URI that may reach a log, a status or an error.
"""

import dataclasses
import re
import urllib.parse
from collections.abc import Callable, Mapping

from modelyard_runtime import errors
from modelyard_runtime.artifact import references

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9._-]")
_CLAIM = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_MLFLOW_MODEL = re.compile(r"models/[^/?#]+/[^/?#]+")
_MLFLOW_RUN = re.compile(r"(?P<run>[A-Za-z0-9_-]{1,64})/(?P<path>[^?#]+)")
_NAME_LENGTH = 200  # file systems allow 255 bytes; temporary names add a suffix


@dataclasses.dataclass(frozen=True, slots=True)
class Location:
    """A parsed model URI.

    | scheme          | host                 | path                                    |
    | file            |                      | the absolute path                       |
    | pvc             | the claim            | the path in it                          |
    | http, https     | the host and port    | the URL's path                          |
    | s3, gs, az      | the bucket/container | the key                                 |
    | hf              | org/repo@revision    | the file; empty is every file           |
    | oci, oci+volume | the registry         | the repository; what follows is `image` |
    | mlflow          | models               | name/version or name/alias              |
    | runs            | the run              | the path among its artifacts            |

    `raw` may hold a signature in its query and is for the HTTP client only. `image` and `hub` are the parts of the
    schemes that name one.
    """

    scheme: str
    host: str
    path: str
    shown: str
    raw: str = dataclasses.field(repr=False)
    username: str | None = dataclasses.field(default=None, repr=False)
    password: str | None = dataclasses.field(default=None, repr=False)
    image: references.Image | None = None
    hub: references.HubRepository | None = None

    @property
    def is_prefix(self) -> bool:
        """Says whether the URI names a folder by its trailing slash."""
        return self.path.endswith("/") or (self.scheme in ("s3", "gs", "az") and not self.path)

    @property
    def name(self) -> str:
        """The file or folder name to store the artifact under: one safe path component."""
        last = urllib.parse.unquote(self.path).rstrip("/").rpartition("/")[2]
        safe = _UNSAFE_IN_NAME.sub("_", last)[-_NAME_LENGTH:]
        return safe if safe.strip(".") else "model"


def parse(uri: str) -> Location:
    """Gives the location a URI names; raises `StartFailure` (UriUnsupported) that says what to write instead."""
    if any(character.isspace() or not character.isprintable() for character in uri):
        raise _unsupported("the model URI holds a space or a control character; percent-encode it (%20)")
    match = _SCHEME.match(uri)
    if match is None:
        raise _unsupported(f"the model URI {_shorten(uri)!r} has no scheme; {_USE}")
    scheme = match[1].lower()
    if scheme not in _PARSERS:
        raise _unsupported(f"the scheme {scheme + ':'!r} of the model URI is not supported; {_USE}")
    return _PARSERS[scheme](uri, scheme)


_USE = (
    "use s3://bucket/key, gs://bucket/key, az://container/blob, https://host/path, hf://org/repo, "
    "oci://registry/repository:tag, mlflow://models/name/version, runs:/run/path, pvc://claim/path or file:///path"
)


def _parse_file(uri: str, _scheme: str) -> Location:
    rest = uri.partition(":")[2]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost"):
            raise _unsupported(f"{_shorten(uri)!r} names a host; a file URI has three slashes: file:///path")
        rest = slash + path
    path = urllib.parse.unquote(rest)
    if not path.startswith("/") or "\0" in path:
        raise _unsupported(f"{_shorten(uri)!r} is not an absolute path; write file:///path/to/model.joblib")
    return Location("file", "", path, f"file://{rest}", uri)


def _parse_bucket(uri: str, scheme: str) -> Location:
    # Not urlsplit: '?' and '#' are ordinary characters of a key.
    bucket, _, key = _after_slashes(uri).partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise _unsupported(f"{_shorten(uri)!r} has no valid bucket name; write {scheme}://bucket/key")
    if any(part in ("", ".", "..") for part in key.removesuffix("/").split("/")) and key:
        raise _unsupported(
            f"{_shorten(uri)!r} has an empty, '.' or '..' part in its key; write the key as the server lists it"
        )
    return Location(scheme, bucket, key, f"{scheme}://{bucket}/{key}", uri)


def _parse_claim(uri: str, _scheme: str) -> Location:
    claim, _, rest = _after_slashes(uri).partition("/")
    path = references.plain_path(rest)
    if not _CLAIM.fullmatch(claim) or not path:
        raise _unsupported(
            f"{_shorten(uri)!r} must name a PersistentVolumeClaim and a path in it, without '..'; "
            "write pvc://claim/path/to/model.joblib"
        )
    return Location("pvc", claim, path, f"pvc://{claim}/{rest}", uri)


def _parse_hub(uri: str, _scheme: str) -> Location:
    named = references.hub_repository(_after_slashes(uri))
    if named is None:
        raise _unsupported(f"{_shorten(uri)!r} names no repository; write hf://org/repo@revision/file")
    host = f"{named.repository}@{named.revision}"
    return Location("hf", host, named.path, f"hf://{_after_slashes(uri)}", uri, hub=named)


def _parse_image(uri: str, scheme: str) -> Location:
    rest = _after_slashes(uri)
    named = references.image(rest)
    if named is None or (named.path and scheme == "oci"):
        inside = "/path" if scheme == "oci+volume" else ""
        raise _unsupported(
            f"{_shorten(uri)!r} must name a registry, a repository in lower case, and a tag or a digest; "
            f"write {scheme}://registry/repository:tag{inside} or {scheme}://registry/repository@sha256:…{inside}"
        )
    return Location(
        scheme, named.registry, named.path or named.repository, f"{scheme}://{rest}", uri, image=named
    )


def _parse_mlflow(uri: str, _scheme: str) -> Location:
    rest = _after_slashes(uri)
    if not _MLFLOW_MODEL.fullmatch(rest) or references.plain_path(rest) is None:
        raise _unsupported(
            f"{_shorten(uri)!r} must name a registered model and a version or an alias; write mlflow://models/iris/3"
        )
    return Location("mlflow", "models", rest.partition("/")[2], f"mlflow://{rest}", uri)


def _parse_run(uri: str, _scheme: str) -> Location:
    rest = uri.partition(":")[2].removeprefix("/")
    match = _MLFLOW_RUN.fullmatch(rest)
    path = references.plain_path(match["path"]) if match else None
    if match is None or not path:
        raise _unsupported(
            f"{_shorten(uri)!r} must name a run and a path among its artifacts, without '..'; write runs:/run/model"
        )
    return Location("runs", match["run"], path, f"runs:/{rest}", uri)


def _after_slashes(uri: str) -> str:
    """Gives what follows the two slashes; nothing when they are not there."""
    _, slashes, rest = uri.partition("://")
    return rest if slashes else ""


def _parse_http(uri: str, scheme: str) -> Location:
    if "\\" in uri:
        # Some read it as a slash, some as a part of the user: another host to each.
        raise _unsupported(f"the {scheme} model URI holds a backslash; percent-encode it (%5C)")
    try:
        parts = urllib.parse.urlsplit(uri)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        raise _unsupported(f"the {scheme} model URI has an invalid host or port") from None
    if not host:
        raise _unsupported(f"the {scheme} model URI has no host; write {scheme}://host/path")
    address = f"[{host}]{port}" if ":" in host else f"{host}{port}"
    shown = urllib.parse.urlunsplit((scheme, address, parts.path, "", ""))
    return Location(
        scheme=scheme,
        host=address,
        path=parts.path or "/",
        shown=shown,
        raw=urllib.parse.urlunsplit((scheme, address, parts.path, parts.query, "")),
        username=urllib.parse.unquote(parts.username) if parts.username else None,
        password=urllib.parse.unquote(parts.password) if parts.password else None,
    )


_PARSERS: Mapping[str, Callable[[str, str], Location]] = {
    "file": _parse_file,
    "pvc": _parse_claim,
    "http": _parse_http,
    "https": _parse_http,
    "s3": _parse_bucket,
    "gs": _parse_bucket,
    "az": _parse_bucket,
    "hf": _parse_hub,
    "oci": _parse_image,
    "oci+volume": _parse_image,
    "mlflow": _parse_mlflow,
    "runs": _parse_run,
}
SCHEMES = tuple(_PARSERS)


def _shorten(uri: str) -> str:
    """Cuts at the first character that may start a secret; keeps what identifies the URI for its author."""
    without_query = re.split(r"[?#]", uri, maxsplit=1)[0]
    without_userinfo = re.sub(r"//[^/@]*@", "//", without_query)
    return without_userinfo if len(without_userinfo) <= 200 else without_userinfo[:200] + "…"


def _unsupported(message: str) -> errors.StartFailure:
    return errors.StartFailure(errors.Reason.URI_UNSUPPORTED, message)
