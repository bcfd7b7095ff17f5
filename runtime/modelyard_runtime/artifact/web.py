"""HTTP through the one door out: requests whose connections are judged, and redirects that we follow ourselves.

Used by `sources.http`. urllib3 does the talking (connections kept, TLS, framing); ours is where it may connect
(`artifact.egress`), which redirects count, and that a login never leaves the server it is for.
"""

import dataclasses
import re
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Mapping
from typing import Any

import urllib3

from modelyard_runtime import errors
from modelyard_runtime.artifact import egress as door

MOST_REDIRECTS = 5
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?\.?")
_IPV6 = re.compile(r"[0-9a-f:.]+")
_REDIRECTS = (301, 302, 303, 307, 308)
_POOL_SIZE = 8  # as many as `artifact.download` has at once, at most


@dataclasses.dataclass(frozen=True, slots=True)
class Url:
    """An HTTP URL, taken apart once: what is judged is what is connected to."""

    scheme: str
    host: str
    port: int
    target: str = dataclasses.field(repr=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """The server, as logins are bound to it."""
        return self.scheme, self.host, self.port


def parse(text: str) -> Url:
    """Gives a URL's parts, without its user; raises `ValueError` with the problem in words."""
    if any(character.isspace() or not character.isprintable() or character == "\\" for character in text):
        raise ValueError("it holds a space, a backslash or a control character")
    parts = urllib.parse.urlsplit(text)
    if parts.scheme not in _PORTS:
        raise ValueError(f"its scheme {parts.scheme[:20]!r} is neither http nor https")
    try:
        # As names reach the resolver: compatible characters folded, other scripts in ASCII.
        host = (parts.hostname or "").encode("idna").decode("ascii").lower()
        port = parts.port
    except ValueError:
        raise ValueError("its host or port is not valid") from None
    is_bracketed = parts.netloc.rpartition("@")[2].startswith("[")
    if not (_IPV6 if is_bracketed else _HOST).fullmatch(host):
        raise ValueError("its host is no name and no address")
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    # A path that starts with two slashes would be read as another server's.
    target = "/" + target.lstrip("/") if target.startswith("//") else target
    return Url(parts.scheme, host, port or _PORTS[parts.scheme], target)


class Client:
    """HTTP requests of one fetch; may be used by several threads."""

    def __init__(self, egress: door.Egress) -> None:
        self._egress = egress
        self._pools: dict[tuple[str, str, int], urllib3.HTTPConnectionPool] = {}
        self._lock = threading.Lock()

    def get(
        self, url: Url, headers: Mapping[str, str], authorization: str | None
    ) -> urllib3.BaseHTTPResponse:
        """Gives the answer at the end of the redirects, opened and without its body.

        `authorization` goes to the URL's own server only. Raises `StartFailure` (AddressRefused, FetchFailed), or
        urllib3's `HTTPError` as the network does.
        """
        origin = url.origin
        for _ in range(MOST_REDIRECTS + 1):
            sent = dict(headers)
            if authorization is not None and url.origin == origin:
                sent["authorization"] = authorization
            answer = self._pool(url).urlopen(
                "GET", url.target, headers=sent, retries=False, redirect=False, preload_content=False,
                decode_content=False, timeout=urllib3.Timeout(door.CONNECT_SECONDS, door.IDLE_SECONDS),
            )  # fmt: skip
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            answer.close()
            url = _follow(url, location)
        raise errors.StartFailure(
            errors.Reason.FETCH_FAILED, f"the server {url.host} redirects more than {MOST_REDIRECTS} times"
        )

    def _pool(self, url: Url) -> urllib3.HTTPConnectionPool:
        with self._lock:
            if url.origin not in self._pools:
                self._pools[url.origin] = self._new_pool(url)
            return self._pools[url.origin]

    def _new_pool(self, url: Url) -> urllib3.HTTPConnectionPool:
        if url.scheme == "http":
            return _PlainPool(url.host, url.port, maxsize=_POOL_SIZE, egress=self._egress)
        context: ssl.SSLContext = self._egress.tls_context()
        return _TlsPool(url.host, url.port, maxsize=_POOL_SIZE, egress=self._egress, ssl_context=context)


def _follow(url: Url, location: str) -> Url:
    try:
        following = parse(
            urllib.parse.urljoin(f"{url.scheme}://{_bracketed(url.host)}:{url.port}{url.target}", location)
        )
    except ValueError as error:
        raise errors.StartFailure(
            errors.Reason.ADDRESS_REFUSED,
            f"the server {url.host} redirects to a URL that is not followed: {error}",
        ) from None
    if url.scheme == "https" and following.scheme == "http":
        raise errors.StartFailure(
            errors.Reason.ADDRESS_REFUSED,
            f"the server {url.host} redirects from https to http ({following.host}), which is not followed; "
            "name a URL that stays with TLS",
        )
    return following


def read_body(answer: urllib3.BaseHTTPResponse, limit_bytes: int) -> bytes:
    """Gives a body that is no file, or one byte more than the limit of what is longer.

    Raises urllib3's errors, also for a body that ends before its announced length: of a single `read` the client gives
    what came, and tells only the next one.
    """
    content = bytearray()
    while len(content) <= limit_bytes:
        part = answer.read(limit_bytes + 1 - len(content), decode_content=False)
        if not part:
            break
        content += part
    return bytes(content)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _PlainConnection(urllib3.connection.HTTPConnection):
    def __init__(self, *arguments: Any, egress: door.Egress, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._egress = egress

    def _new_conn(self) -> socket.socket:
        return self._egress.connect(self.host.strip("[]"), self.port, is_tls=False)


class _TlsConnection(urllib3.connection.HTTPSConnection):
    def __init__(self, *arguments: Any, egress: door.Egress, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._egress = egress

    def _new_conn(self) -> socket.socket:
        return self._egress.connect(self.host.strip("[]"), self.port or 443, is_tls=True)


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
