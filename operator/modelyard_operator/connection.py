"""How to reach the API server: address, TLS and credentials, from inside a pod or from a kubeconfig.

`open_connection` is called once by `__main__`; `cluster` makes its calls over the result, `watching` its streams, and
`handlers` hands the same credentials to kopf. The official client does the loading and refreshing (service account
tokens are read again every minute, exec plugins are run again); its models and its request path, five times the cost of
a plain call, are not used.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping

import aiohttp
from kubernetes.aio import client
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import rest

from modelyard_operator import errors

_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
_CONNECTIONS = 64
_PACE_SECONDS = 1.0
_TURNS_OF_AN_ABORT = 5


class Pace:
    """Lets a watch be opened again only a while after it was opened last.

    kopf reopens one that is cut at once, and behind a broken balancer that is a loop at full speed. A watch that lives
    as long as it should never waits.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next: dict[str, float] = {}

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Hold a watch that comes too early, and pass everything on."""
        if "watch" in request.url.query:
            now = asyncio.get_running_loop().time()
            starts = max(now, self._next.get(request.url.path, 0.0))
            self._next[request.url.path] = starts + self._seconds
            await asyncio.sleep(starts - now)
        return await handler(request)


class Connection:
    """One pool of connections to one API server."""

    def __init__(self, configuration: client.Configuration) -> None:
        self.configuration = configuration
        self.server: str = configuration.host.rstrip("/")
        self._tls: ssl.SSLContext = rest.RESTClientObject(configuration).ssl_context
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=30, sock_connect=5),
            read_bufsize=2**20,
        )
        self.count: Callable[[str, str, int], None] = (
            _ignore  # told of each list and watch: verb, resource, code
        )
        # Watches hold their connections for good, and there may be many: they must not keep calls waiting.
        self._streams = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            read_bufsize=2**18,
            middlewares=(self._count,),
        )

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pool; every request over it has a timeout."""
        return self._session

    @property
    def streams(self) -> aiohttp.ClientSession:
        """The connections of watches; every request over it sets how long silence may last."""
        return self._streams

    def paced_session(self) -> aiohttp.ClientSession:
        """Give a new session for kopf, which closes it: with our credentials, fresh at each request, and paced."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=0),
            middlewares=(Pace(_PACE_SECONDS), self._count, self._authorize),
        )

    async def _count(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        verb = "WATCH" if "watch" in request.url.query else request.method
        code = 0
        try:
            response = await handler(request)
            code = response.status
        finally:
            self.count(verb, request.url.path.rpartition("/")[2], code)
        return response

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if header := await self.authorization():
            request.headers["Authorization"] = header
        return await handler(request)

    async def authorization(self) -> str | None:
        """Give the present Authorization header, refreshed when it was about to expire; None with certificates."""
        header: str | None = await self.configuration.get_api_key_with_prefix("BearerToken")
        return header

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._streams.close()
        for _ in range(_TURNS_OF_AN_ABORT):
            await asyncio.sleep(
                0
            )  # an aborted TLS connection closes its socket at one of the loop's next turns


async def open_connection(environment: Mapping[str, str]) -> Connection:
    """Give a connection to the cluster this process runs in, or else to the one its kubeconfig names.

    Raises:
        errors.ConfigInvalid: when there is neither.
    """
    configuration = client.Configuration()
    try:
        if _IN_CLUSTER in environment and "KUBECONFIG" not in environment:
            kubernetes_config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
        else:
            await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=environment.get("KUBECONFIG"),
                client_configuration=configuration,
                persist_config=False,
            )
    except (kubernetes_config.ConfigException, OSError) as error:
        raise errors.ConfigInvalid(
            f"No way to the API server: {error}. Run in a pod with a service account, or set KUBECONFIG to a file."
        ) from error
    return Connection(configuration)


def _ignore(_verb: str, _resource: str, _code: int) -> None:
    """Count nothing."""
