"""Artifacts in S3 buckets, Amazon's or any server's that speaks the same.

Chosen by `sources.opening`; `objectstore` does the talking. What the credentials' keys mean to S3 is known here alone.
"""

import urllib.parse
from typing import TYPE_CHECKING

import obstore.store

from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import faults, source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import objectstore

if TYPE_CHECKING:
    from obstore.store import S3Config

# Any of these says that the pod has an identity of its own for the cloud's credential chain to use.
_POD_IDENTITY = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)


def build(location: uris.Location, surroundings: source.Surroundings) -> "S3Source":
    """Gives the source of a URI."""
    return S3Source(location, surroundings)


class S3Source:
    """An object, or with a trailing slash every object under a prefix, of an S3 server."""

    def __init__(self, location: uris.Location, surroundings: source.Surroundings) -> None:
        credentials = surroundings.credentials
        endpoint_url = credentials.get("AWS_ENDPOINT_URL")
        endpoint = urllib.parse.urlsplit(endpoint_url) if endpoint_url else None
        self._key = location.path
        self._is_prefix = location.is_prefix
        self._place = faults.Place(
            shown=location.shown,
            server=f"the S3 server at {endpoint.netloc.rpartition('@')[2]}" if endpoint else "Amazon S3",
            key_names="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            has_credentials=credentials.get("AWS_ACCESS_KEY_ID") is not None,
            take_failure=surroundings.egress.take_failure,
        )
        config = _s3_config(credentials, surroundings)
        if not config.get("skip_signature"):
            region = config["region"]
            credentials.require_host((endpoint and endpoint.hostname) or f"s3.{region}.amazonaws.com")
        try:
            self._store = obstore.store.S3Store(
                location.host,
                config=config,
                client_options=objectstore.client_options(
                    endpoint is not None and endpoint.scheme == "http", {}
                ),
                retry_config=objectstore.RETRY,
            )
        except objectstore.FAULTS as error:
            raise errors.StartFailure(
                errors.Reason.SETTINGS_INVALID,
                "the credentials Secret is incomplete for S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together",
            ) from error

    def list_files(self) -> source.Listing:
        """Gives the object, or the objects under the prefix."""
        if not self._is_prefix:
            return source.Listing(False, (source.File("", None),))
        return objectstore.list_objects(self._store, self._key, self._place)

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Requests one object, or a span of it."""
        return objectstore.open_object(self._store, self._key + file.path, self._place, span)


def _s3_config(credentials: secrets.Credentials, surroundings: source.Surroundings) -> "S3Config":
    ambient = surroundings.ambient
    config: S3Config = {"region": credentials.get("AWS_REGION") or ambient.get("AWS_REGION") or "us-east-1"}
    if (endpoint_url := credentials.get("AWS_ENDPOINT_URL")) is not None:
        config["endpoint"] = endpoint_url
    if (access_key_id := credentials.get("AWS_ACCESS_KEY_ID")) is not None:
        config["access_key_id"] = access_key_id
    if (secret_access_key := credentials.get("AWS_SECRET_ACCESS_KEY")) is not None:
        config["secret_access_key"] = secret_access_key
    if (session_token := credentials.get("AWS_SESSION_TOKEN")) is not None:
        config["session_token"] = session_token
    if access_key_id is None and not surroundings.egress.policy.identity.is_given:
        # Nobody gave this pod an identity, so the node's is none of its business.
        config["skip_signature"] = True
    return config
