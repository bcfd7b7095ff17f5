"""What a URI names in a bucket (Azure: a container), whichever cloud's it is.

Made by the modules of the clouds with a store of the object-store library; `objectstore` does the talking. It knows no
cloud and no credentials.
"""

import urllib.parse
from typing import TYPE_CHECKING

from modelyard_runtime import errors
from modelyard_runtime.artifact import faults, source, web
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import objectstore

if TYPE_CHECKING:
    from obstore.store import ObjectStore


class BucketSource:
    """An object, or with a trailing slash every object under a prefix."""

    def __init__(self, store: "ObjectStore", location: uris.Location, place: faults.Place) -> None:
        self._store = store
        self._key = location.path
        self._is_prefix = location.is_prefix
        self._place = place

    def list_files(self) -> source.Listing:
        """Gives the object, or the objects under the prefix."""
        if not self._is_prefix:
            return source.Listing(False, (source.File("", None),))
        return objectstore.list_objects(self._store, self._key, self._place)

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Requests one object, or a span of it."""
        return objectstore.open_object(self._store, self._key + file.path, self._place, span)


def parse_endpoint(url: str, key: str) -> urllib.parse.SplitResult:
    """Gives the parts of a server's URL; raises `StartFailure` (SettingsInvalid) that names the Secret's key for it."""
    try:
        web.parse(url)
    except ValueError as error:
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID, f"{key} is not the http: or https: URL of a server: {error}"
        ) from None
    return urllib.parse.urlsplit(url)
