"""Objects by URLs that the object-store library has signed, through our own HTTP client.

Used by `sources.s3` for the bytes of objects: the library signs and lists, but its connections take the way over the
proxy on loopback (`artifact.forwarding`), which costs as much again as the transfer itself. A signed URL is a secret
for as long as it is good; it must never be logged or shown.
"""

import datetime
from typing import TYPE_CHECKING, cast

import obstore

from modelyard_runtime import errors
from modelyard_runtime.artifact import faults, source, web
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import bucket, http, objectstore

if TYPE_CHECKING:
    from obstore.store import ObjectStore, S3Store

# Each request is signed when it is made, and a clock may be wrong by minutes.
_GOOD_FOR = datetime.timedelta(minutes=15)


class SignedSource(bucket.BucketSource):
    """An object, or with a trailing slash every object under a prefix, of a store that signs URLs."""

    def __init__(
        self, store: "ObjectStore", location: uris.Location, place: faults.Place, client: web.Client
    ) -> None:
        super().__init__(store, location, place)
        self._signing = cast("S3Store", store)
        self._first_key = location.path
        self._shared_place = place
        self._client = client

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Requests one object, or a span of it."""
        try:
            signed = obstore.sign(self._signing, "GET", self._first_key + file.path, expires_in=_GOOD_FOR)
            url = web.parse(signed)
        except objectstore.FAULTS as error:
            raise faults.explain(error, self._shared_place) from error
        except ValueError as error:
            raise errors.StartFailure(
                errors.Reason.SETTINGS_INVALID,
                f"the endpoint of {self._shared_place.server} can't be used: {error}",
            ) from None
        return http.HttpSource(url, None, self._client, self._shared_place).open_file(file, span)
