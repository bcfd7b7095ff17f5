"""One file behind http: or https:.

Chosen by `sources.opening`. What the credentials' keys mean to HTTP is known here alone.
"""

import base64

import obstore.store

from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import faults, source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import objectstore


def build(location: uris.Location, surroundings: source.Surroundings) -> "HttpSource":
    """Gives the source of a URI."""
    return HttpSource(location, surroundings.credentials)


class HttpSource:
    """One file behind http: or https:."""

    def __init__(self, location: uris.Location, credentials: secrets.Credentials) -> None:
        headers = _authorization(location, credentials)
        self._place = faults.Place(
            shown=location.shown,
            server=f"the HTTP server {location.host}",
            key_names="HTTP_BEARER_TOKEN, or HTTP_USERNAME and HTTP_PASSWORD,",
            has_credentials=bool(headers),
        )
        # The whole URL is the store and the path in it empty: the library would percent-encode a path once more.
        self._store = obstore.store.HTTPStore(
            location.raw,
            client_options=objectstore.client_options(location.scheme == "http", headers),
            retry_config=objectstore.RETRY,
        )

    def list_files(self) -> source.Listing:
        """Gives the one file; HTTP has no folders."""
        return source.Listing(False, (source.File("", None),))

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Requests the file."""
        del span
        return objectstore.open_object(self._store, file.path, self._place)


def _authorization(location: uris.Location, credentials: secrets.Credentials) -> dict[str, str]:
    """Gives the Authorization header: the Secret's token, else its user, else the user in the URI itself."""
    if (bearer_token := credentials.get("HTTP_BEARER_TOKEN")) is not None:
        return {"authorization": f"Bearer {bearer_token}"}
    username, password = location.username, location.password
    if (given := credentials.get("HTTP_USERNAME")) is not None:
        username, password = given, credentials.get("HTTP_PASSWORD")
    if username is None:
        return {}
    token = base64.b64encode(f"{username}:{password or ''}".encode()).decode("ascii")
    return {"authorization": f"Basic {token}"}
