"""Model URIs: what they may look like, and how they are shown without their secrets.

Called by `artifact.fetch` before anything is opened. Pure: it never resolves a name or touches a path.
`Location.shown` is the only form of a URI that may reach a log, a status or an error.
"""

import dataclasses
import re
import urllib.parse

from modelyard_runtime import errors

SCHEMES = ("file", "http", "https", "s3")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9._-]")
_NAME_LENGTH = 200  # file systems allow 255 bytes; temporary names add a suffix


@dataclasses.dataclass(frozen=True, slots=True)
class Location:
    """A parsed model URI.

    `host` is the bucket for s3; `path` is the key (s3), the absolute path (file) or the URL path (http). `raw` may hold
    a signature in its query and is for the HTTP client only.
    """

    scheme: str
    host: str
    path: str
    shown: str
    raw: str = dataclasses.field(repr=False)
    username: str | None = dataclasses.field(default=None, repr=False)
    password: str | None = dataclasses.field(default=None, repr=False)

    @property
    def is_prefix(self) -> bool:
        """Says whether the URI names a folder by its trailing slash."""
        return self.path.endswith("/") or (self.scheme == "s3" and not self.path)

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
    if scheme == "file":
        return _parse_file(uri)
    if scheme == "s3":
        return _parse_s3(uri)
    if scheme in ("http", "https"):
        return _parse_http(uri, scheme)
    raise _unsupported(f"the scheme {scheme + ':'!r} of the model URI is not supported; {_USE}")


_USE = "use file:///path, http://host/path, https://host/path or s3://bucket/key"


def _parse_file(uri: str) -> Location:
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


def _parse_s3(uri: str) -> Location:
    # Not urlsplit: '?' and '#' are ordinary characters of a key.
    bucket, _, key = uri.partition(":")[2].removeprefix("//").partition("/")
    if not uri.partition(":")[2].startswith("//") or not _BUCKET.fullmatch(bucket):
        raise _unsupported(f"{_shorten(uri)!r} has no valid bucket name; write s3://bucket/key")
    if any(part in ("", ".", "..") for part in key.removesuffix("/").split("/")) and key:
        raise _unsupported(
            f"{_shorten(uri)!r} has an empty, '.' or '..' part in its key; write the key as S3 lists it"
        )
    return Location("s3", bucket, key, f"s3://{bucket}/{key}", uri)


def _parse_http(uri: str, scheme: str) -> Location:
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


def _shorten(uri: str) -> str:
    """Cuts at the first character that may start a secret; keeps what identifies the URI for its author."""
    without_query = re.split(r"[?#]", uri, maxsplit=1)[0]
    without_userinfo = re.sub(r"//[^/@]*@", "//", without_query)
    return without_userinfo if len(without_userinfo) <= 200 else without_userinfo[:200] + "…"


def _unsupported(message: str) -> errors.StartFailure:
    return errors.StartFailure(errors.Reason.URI_UNSUPPORTED, message)
