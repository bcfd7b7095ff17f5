"""Speaks to an instance's API server: is it ready, apply an object, read one.

Called by the start and the status of an instance. It is no client library: it knows just the few requests that starting
a cluster needs, and needs nothing but the standard library.
"""

import dataclasses
import http.client
import json
import ssl
import urllib.parse
from pathlib import Path
from typing import Any

from devcluster import certificates, config, errors

_FIELD_MANAGER = "devcluster"


@dataclasses.dataclass(frozen=True)
class Client:
    """The API server of one instance, spoken to as its administrator."""

    url: str
    certificates: Path

    def is_ready(self) -> bool:
        """Tell whether the API server answers and calls itself ready."""
        return self._answers("/readyz")

    def get(self, path: str) -> dict[str, Any] | None:
        """Give the object at `path`, or None when there is none or the server does not answer."""
        try:
            status, body = self._request("GET", path)
        except OSError:
            return None
        return dict(json.loads(body)) if status == 200 else None

    def apply(self, path: str, manifest: dict[str, Any]) -> None:
        """Apply one object server-side.

        Raises:
            DevclusterError: the server refused it; with its words.
        """
        query = urllib.parse.urlencode({"fieldManager": _FIELD_MANAGER, "force": "true"})
        status, body = self._request("PATCH", f"{path}?{query}", json.dumps(manifest))
        if status not in (200, 201):
            raise errors.DevclusterError(
                f"the API server refused {path}: HTTP {status}: {body.strip()[:500]}"
            )

    def _answers(self, path: str) -> bool:
        try:
            status, _ = self._request("GET", path)
        except OSError:
            return False
        return status == 200

    def _request(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        context = ssl.create_default_context(
            cafile=str(self.certificates / f"{certificates.CLUSTER_AUTHORITY}.crt")
        )
        context.load_cert_chain(self.certificates / "admin.crt", self.certificates / "admin.key")
        address = urllib.parse.urlsplit(self.url)
        # An address, not a name, and no proxy: http.client looks at no proxy settings.
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, timeout=5, context=context
        )
        try:
            connection.request(method, path, body, {"Content-Type": "application/apply-patch+yaml"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except http.client.HTTPException as reason:
            raise ConnectionError(str(reason)) from None
        finally:
            connection.close()


def client(instance_layout: config.Layout, network: config.Network) -> Client:
    """Give the client of an instance."""
    return Client(network.api_url, instance_layout.certificates)
