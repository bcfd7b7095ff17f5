"""Artifacts in Google Cloud Storage, or in a server that speaks its API.

Chosen by `sources.opening`; `objectstore` does the talking. What the credentials' keys mean to Google is known here
alone. The pod's own identity is a bearer token: it must never go to an address that a Secret names.
"""

from typing import TYPE_CHECKING

import msgspec
import obstore.store

from modelyard_runtime import errors
from modelyard_runtime.artifact import faults, source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import bucket, objectstore

if TYPE_CHECKING:
    from obstore.store import GCSConfig

_GOOGLE = "https://storage.googleapis.com"
_KEY = "GOOGLE_APPLICATION_CREDENTIALS_JSON"
_ENDPOINT = "GOOGLE_STORAGE_ENDPOINT"


class _ServiceAccount(msgspec.Struct):
    """What a service account's key has to hold; the library says no more than that something is amiss."""

    type: str
    client_email: str
    private_key: str
    private_key_id: str


def build(location: uris.Location, surroundings: source.Surroundings) -> bucket.BucketSource:
    """Gives the source of a URI; raises `StartFailure` (SettingsInvalid, AccessDenied)."""
    credentials = surroundings.credentials
    endpoint = credentials.get(_ENDPOINT) or surroundings.ambient.get(_ENDPOINT) or _GOOGLE
    parts = bucket.parse_endpoint(endpoint, _ENDPOINT)
    identity = _identity(surroundings)
    if "skip_signature" not in identity:
        credentials.require_host(parts.hostname or "")
    place = faults.Place(
        shown=location.shown,
        server="Google Cloud Storage"
        if endpoint == _GOOGLE
        else f"the Google Cloud Storage server at {parts.netloc.rpartition('@')[2]}",
        key_names=_KEY,
        has_credentials="service_account_key" in identity,
        has_identity=not identity,
        take_failure=surroundings.egress.take_failure,
    )
    try:
        store = obstore.store.GCSStore(
            location.host,
            # The address always, or a key's own `gcs_base_url` would choose it.
            config={"base_url": endpoint.rstrip("/"), **identity},
            client_options=objectstore.client_options(parts.scheme == "http", {}),
            retry_config=objectstore.RETRY,
        )
    except objectstore.FAULTS as error:
        raise _invalid("the library can't use it; create a new key of the service account") from error
    return bucket.BucketSource(store, location, place)


def _identity(surroundings: source.Surroundings) -> "GCSConfig":
    """Gives who asks: the Secret's service account, else the pod's own identity (no words for it), else nobody."""
    if (key := surroundings.credentials.get(_KEY)) is not None:
        return {"service_account_key": _checked(key)}
    # Google's metadata service hands out the identity; it is asked where the administrator says so.
    has_identity = surroundings.egress.policy.identity.asks_metadata
    if surroundings.credentials.get(_ENDPOINT) is not None or not has_identity:
        return {"skip_signature": True}
    return {}


def _checked(key: str) -> str:
    try:
        account = msgspec.json.decode(key, type=_ServiceAccount)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # msgspec names a missing field, and of a broken text the position alone.
        raise _invalid(str(error)) from error
    if account.type != "service_account":
        raise _invalid("its type is another one; a key file of a service account is needed")
    return key


def _invalid(problem: str) -> errors.StartFailure:
    return errors.StartFailure(
        errors.Reason.SETTINGS_INVALID,
        f"the key {_KEY} of the credentials Secret is not the JSON key of a service account: {problem}",
    )
