"""Servers that tests answer with: accepting never waits for a client, and a handler's mistake is told.

Used wherever a test needs a counterpart that misbehaves, counts or stands in for a service. What a client does to its
own connection (hang up, refuse a certificate, be killed) is no mistake; whatever else a handler raises fails the test
at the end of the block, so that it can neither be missed nor come up in another test.
"""

import contextlib
import select
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Iterator
from typing import Any

LOOPBACK = "127.0.0.1"
# What becomes of a connection whose client has gone, and of a handshake that it has broken off.
_OF_THE_CLIENT = (ConnectionError, ssl.SSLError)


class _Server(socketserver.ThreadingTCPServer):
    """One thread for each connection; TLS begins there too, so that a slow handshake holds up nobody else."""

    daemon_threads = True
    request_queue_size = (
        128  # with the usual five, a busy machine drops connections and clients wait for seconds
    )

    def __init__(
        self, handler: type[socketserver.BaseRequestHandler], tls: ssl.SSLContext | None, host: str
    ) -> None:
        self._tls = tls
        self.failures: list[BaseException] = []
        super().__init__((host, 0), handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        with self._tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)
            with contextlib.suppress(OSError):  # the client was faster
                secured.shutdown(socket.SHUT_WR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, _OF_THE_CLIENT):
            self.failures.append(error)


@contextlib.contextmanager
def serving(
    handler: type[socketserver.BaseRequestHandler], tls: ssl.SSLContext | None = None, host: str = LOOPBACK
) -> Iterator[int]:
    """Answer with a handler while the block runs; give the port.

    Raises:
        AssertionError: at the end, when the handler has failed by itself.
    """
    with _Server(handler, tls, host) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
            if server.failures:
                raise AssertionError(f"a handler has failed: {server.failures!r}") from server.failures[0]


def tls_context(certificate: Any, key: Any) -> ssl.SSLContext:
    """Give what a server with this certificate needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def pass_on(client: socket.socket, address: tuple[str, int]) -> None:
    """Pass bytes between a client and an address until either has no more."""
    with socket.create_connection(address) as server:
        other = {client: server, server: client}
        while True:
            for side in select.select(list(other), [], [])[0]:
                received = side.recv(65536)
                if not received:
                    return
                other[side].sendall(received)
