"""How to reach the API server: address, TLS and credentials, from inside a pod or from a kubeconfig.

`open_connection` is called once by `__main__`; `cluster` makes its calls over the result, `watching` its streams, and
`handlers` hands the same credentials to kopf. The official client does the loading and refreshing (service account
tokens are read again every minute, exec plugins are run again); its models and its request path, five times the cost of
a plain call, are not used.
"""

import ssl
from collections.abc import Mapping

import aiohttp
from kubernetes.aio import client
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import rest

from modelyard_operator import errors

_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
_CONNECTIONS = 64


class Connection:
    """One pool of connections to one API server."""

    def __init__(self, configuration: client.Configuration) -> None:
        self.configuration = configuration
        self.server: str = configuration.host.rstrip("/")
        tls: ssl.SSLContext = rest.RESTClientObject(configuration).ssl_context
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=30, sock_connect=5),
            read_bufsize=2**20,
        )
        # Watches hold their connections for good, and there may be many: they must not keep calls waiting.
        self._streams = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            read_bufsize=2**18,
        )

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pool; every request over it has a timeout."""
        return self._session

    @property
    def streams(self) -> aiohttp.ClientSession:
        """The connections of watches; every request over it sets how long silence may last."""
        return self._streams

    async def authorization(self) -> str | None:
        """Give the present Authorization header, refreshed when it was about to expire; None with certificates."""
        header: str | None = await self.configuration.get_api_key_with_prefix("BearerToken")
        return header

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._streams.close()


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
