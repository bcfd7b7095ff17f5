"""The administrator's proxy for TLS connections: when it is used, and the tunnel through it.

Used by `artifact.egress`. The proxy is chosen by the administrator, so its own address is not judged. It must never
show its URL, which may hold a password.
"""

import base64
import dataclasses
import ipaddress
import socket
import urllib.parse

from modelyard_runtime import errors

_LONGEST_ANSWER_BYTES = 16 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that takes CONNECT."""

    host: str
    port: int
    excluded: tuple[str, ...] = ()
    authorization: str | None = dataclasses.field(default=None, repr=False)

    def excludes(self, host: str) -> bool:
        """Says whether a host is reached without the proxy: by name, by the end of its name, by network, or all."""
        return any(_matches(host.lower().rstrip("."), pattern) for pattern in self.excluded)

    def tunnel(self, host: str, port: int, connect_seconds: float, idle_seconds: float) -> socket.socket:
        """Gives a socket that is connected to a host through the proxy; raises `OSError`."""
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        login = f"Proxy-Authorization: {self.authorization}\r\n" if self.authorization else ""
        connected = socket.create_connection((self.host, self.port), connect_seconds)
        try:
            connected.settimeout(idle_seconds)
            connected.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n".encode("ascii"))
            status = _answer(connected)
        except BaseException:
            connected.close()
            raise
        if status != 200:
            connected.close()
            raise ConnectionRefusedError(f"the proxy answered {status}")
        return connected


def parse(url: str, excluded: str) -> Proxy | None:
    """Gives the proxy of a URL and its exceptions (comma-separated), None without a URL; raises `StartFailure`."""
    if not url:
        return None
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme != "http":
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID,
            "MODELYARD_HTTPS_PROXY: is not the URL of an HTTP proxy; write http://host:port",
        )
    authorization = None
    if parts.username:
        login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(login.encode()).decode("ascii")
    patterns = tuple(part.strip().lower() for part in excluded.split(",") if part.strip())
    return Proxy(host, port or 3128, patterns, authorization)


def _matches(host: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern)
    except ValueError:
        name = pattern.lstrip("*").lstrip(".")
        return host == name or host.endswith("." + name)


def _answer(connected: socket.socket) -> int:
    """Reads the proxy's answer, byte by byte: what follows it belongs to the tunnel."""
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        received = connected.recv(1)
        if not received or len(answer) > _LONGEST_ANSWER_BYTES:
            raise ConnectionResetError("the proxy broke the connection")
        answer += received
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1][:3].isdigit() else 0
