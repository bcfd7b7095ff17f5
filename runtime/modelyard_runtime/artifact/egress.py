"""The one door out: every connection that `fetch` makes is resolved, judged and opened here.

Used by the sources: those of our own HTTP client connect through it, and libraries with a network stack of their own
are given the address of its proxy on loopback (`artifact.forwarding`), which connects through it too. A name is
resolved once, every address it has is judged (`artifact.addresses`), and the connection goes to an address that was.
"""

import dataclasses
import socket
import ssl
import threading
from collections.abc import Callable, MutableMapping, Sequence

from modelyard_runtime import errors
from modelyard_runtime.artifact import addresses, forwarding, trust, upstream
from modelyard_runtime.artifact import identity as identities

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 30.0
# (host, port) → the numeric addresses, as getaddrinfo's order has them.
Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """Gives the addresses of a name; raises `socket.gaierror`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """What the administrator says about connections."""

    allowed: tuple[addresses.Network, ...] = ()
    proxy: upstream.Proxy | None = None
    identity: identities.Identity = identities.NONE
    ca_pem: str = dataclasses.field(default="", repr=False)


class Egress:
    """The door of one fetch."""

    def __init__(self, policy: Policy | None = None, resolver: Resolve = resolve) -> None:
        self.policy = policy or Policy()
        self._resolver = resolver
        self._lock = threading.Lock()
        self._failure: errors.StartFailure | OSError | None = None
        self._forwarder: forwarding.Forwarder | None = None
        self._context: ssl.SSLContext | None = None

    def connect(self, host: str, port: int, is_tls: bool, for_identity: bool = False) -> socket.socket:
        """Gives a connected socket; raises `StartFailure` (AddressRefused), or `OSError` as the network does.

        TLS goes through the administrator's proxy where there is one; the socket is then the tunnel, still without TLS.
        """
        proxy = self.policy.proxy
        if is_tls and proxy is not None and not proxy.excludes(host):
            self._judge_behind_proxy(host, port)
            return proxy.tunnel(host, port, CONNECT_SECONDS, IDLE_SECONDS)
        failure: OSError | None = None
        for address in self.judge(host, port, for_identity):
            try:
                connected = socket.create_connection((address, port), CONNECT_SECONDS)
            except OSError as error:
                failure = failure or error
                continue
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.settimeout(IDLE_SECONDS)
            return connected
        raise failure or OSError("the name has no address")

    def judge(self, host: str, port: int, for_identity: bool = False) -> Sequence[str]:
        """Gives the addresses of a host, all of them allowed; raises `StartFailure` (AddressRefused) or `OSError`."""
        found = self._resolver(host, port)
        for address in found:
            kind = None if for_identity else addresses.refusal(address, self.policy.allowed)
            if kind is not None:
                raise _refused(host, address, kind)
        return found

    def take_failure(self) -> errors.StartFailure | OSError | None:
        """Gives why the last connection for a library failed, once: the library knows only that its proxy said no."""
        with self._lock:
            failure, self._failure = self._failure, None
        return failure

    def proxy_url(self) -> str:
        """Gives the URL, with its password, of the proxy on loopback for libraries; it starts when first asked for."""
        with self._lock:
            if self._forwarder is None:
                self._forwarder = forwarding.Forwarder(self._connect_for_library, self.policy.identity)
            return self._forwarder.url

    def announce(self, environment: MutableMapping[str, str]) -> None:
        """Sets the variables by which libraries find their proxy and what to trust; those of the image lose."""
        for variable in ("NO_PROXY", "no_proxy"):
            environment.pop(variable, None)
        for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            environment[variable] = self.proxy_url()
        if self.policy.ca_pem:
            path = trust.bundle_file(self.policy.ca_pem)
            for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
                environment[variable] = path

    def tls_context(self) -> ssl.SSLContext:
        """Gives what verifies servers' certificates."""
        with self._lock:
            if self._context is None:
                self._context = trust.context(self.policy.ca_pem)
            return self._context

    def _connect_for_library(self, host: str, port: int, is_tls: bool, for_identity: bool) -> socket.socket:
        try:
            return self.connect(host, port, is_tls, for_identity)
        except (errors.StartFailure, OSError) as failure:
            with self._lock:
                self._failure = failure
            raise

    def _judge_behind_proxy(self, host: str, port: int) -> None:
        """Refuses what is known to be forbidden; a name that only the proxy can resolve is the proxy's to judge."""
        try:
            self.judge(host, port)
        except socket.gaierror:
            return


def _refused(host: str, address: str, kind: str) -> errors.StartFailure:
    where = host if host == address else f"{host} is at {address}, which"
    return errors.StartFailure(
        errors.Reason.ADDRESS_REFUSED,
        f"{where} is {kind}: the policy forbids fetch to connect there; name another server, or ask the "
        "administrator to allow the address (MODELYARD_ALLOWED_ADDRESSES)",
    )
