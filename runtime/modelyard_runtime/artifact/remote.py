"""Artifacts behind S3 and HTTP.

Made by `artifact.fetch`. obstore does the talking (signatures, the cloud's credential chain, TLS, redirects, retries of
broken requests); ours is what it is given and what its failures mean (`artifact.faults`).
It must never write to disk or log, and never pass on the library's own error text.
"""

import base64
import datetime
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import obstore
import obstore.exceptions
import obstore.store

from modelyard_runtime import errors, settings
from modelyard_runtime.artifact import faults, source
from modelyard_runtime.artifact import uri as uris

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

MAX_FILES = 10_000  # of one folder: a prefix with more is a mistake (a whole bucket, a data set)
_CHUNK_BYTES = 4 * 1024 * 1024
_CONNECT_TIMEOUT = datetime.timedelta(seconds=5)
_IDLE_TIMEOUT = datetime.timedelta(seconds=30)
# The library's own limit for a whole request defaults to 30 s; how long a big model takes is for the idle limit to say.
_WHOLE_TIMEOUT = datetime.timedelta(days=7)
# Brief: `artifact.fetch` retries too, and says so in the log.
_RETRY: "RetryConfig" = {
    "max_retries": 2,
    "retry_timeout": datetime.timedelta(seconds=60),
    "backoff": {
        "init_backoff": datetime.timedelta(milliseconds=200),
        "max_backoff": datetime.timedelta(seconds=2),
        "base": 2,
    },
}
# obstore maps its faults to its own tree and, for 404, to the builtin FileNotFoundError.
_FAULTS = (obstore.exceptions.BaseError, FileNotFoundError)


class HttpSource:
    """One file behind http: or https:."""

    def __init__(self, location: uris.Location, credentials: settings.Credentials) -> None:
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
            client_options=_client_options(location.scheme == "http", headers),
            retry_config=_RETRY,
        )

    def list_files(self) -> source.Listing:
        """Gives the one file; HTTP has no folders."""
        return source.Listing(False, (source.File("", None),))

    def open_file(self, file: source.File) -> source.Content:
        """Requests the file."""
        return _open(self._store, file.path, self._place)


class S3Source:
    """An object, or with a trailing slash every object under a prefix, of an S3 server."""

    def __init__(
        self, location: uris.Location, credentials: settings.Credentials, ambient: Mapping[str, str]
    ) -> None:
        endpoint = urllib.parse.urlsplit(credentials.endpoint_url) if credentials.endpoint_url else None
        self._key = location.path
        self._is_prefix = location.is_prefix
        self._place = faults.Place(
            shown=location.shown,
            server=f"the S3 server at {endpoint.netloc.rpartition('@')[2]}" if endpoint else "Amazon S3",
            key_names="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            has_credentials=credentials.access_key_id is not None,
        )
        try:
            self._store = obstore.store.S3Store(
                location.host,
                config=_s3_config(credentials, ambient),
                client_options=_client_options(endpoint is not None and endpoint.scheme == "http", {}),
                retry_config=_RETRY,
            )
        except _FAULTS as error:
            raise errors.StartFailure(
                errors.Reason.SETTINGS_INVALID,
                "the credentials Secret is incomplete for S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together",
            ) from error

    def list_files(self) -> source.Listing:
        """Gives the object, or the objects under the prefix."""
        if not self._is_prefix:
            return source.Listing(False, (source.File("", None),))
        files: list[source.File] = []
        try:
            for batch in obstore.list(self._store, prefix=self._key):
                files.extend(
                    self._below_prefix(item["path"], item["size"])
                    for item in batch
                    if item["path"] + "/" != self._key
                )
                if len(files) > MAX_FILES:
                    raise errors.StartFailure(
                        errors.Reason.ARTIFACT_TOO_LARGE,
                        f"{self._place.shown} holds more than {MAX_FILES} objects; name the model's own folder",
                    )
        except _FAULTS as error:
            raise faults.explain(error, self._place) from error
        if not files:
            raise errors.StartFailure(
                errors.Reason.ARTIFACT_NOT_FOUND,
                f"{self._place.server} has no object under {self._place.shown}; check bucket and prefix",
            )
        return source.Listing(True, tuple(files))

    def open_file(self, file: source.File) -> source.Content:
        """Requests one object."""
        return _open(self._store, self._key + file.path, self._place)

    def _below_prefix(self, key: str, size_bytes: int) -> source.File:
        path = key.removeprefix(self._key)
        if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
            raise errors.StartFailure(
                errors.Reason.URI_UNSUPPORTED,
                f"{self._place.shown} holds the key {key!r}, which can't be a file name",
            )
        return source.File(path, size_bytes)


def _open(store: "obstore.store.ObjectStore", path: str, place: faults.Place) -> source.Content:
    try:
        result = obstore.get(store, path)
    except _FAULTS as error:
        raise faults.explain(error, place) from error
    return source.Content(result.meta["size"], _stream(result, place))


def _stream(result: "obstore.GetResult", place: faults.Place) -> Iterator[bytes]:
    try:
        yield from result.stream(min_chunk_size=_CHUNK_BYTES)
    except _FAULTS as error:
        raise faults.explain(error, place) from error


def _client_options(allow_http: bool, headers: dict[str, str]) -> "ClientConfig":
    return {
        "allow_http": allow_http,
        "connect_timeout": _CONNECT_TIMEOUT,
        "read_timeout": _IDLE_TIMEOUT,
        "timeout": _WHOLE_TIMEOUT,
        "default_headers": headers,
        "user_agent": "modelyard-runtime",
    }


def _authorization(location: uris.Location, credentials: settings.Credentials) -> dict[str, str]:
    """Gives the Authorization header: the Secret's token, else its user, else the user in the URI itself."""
    if credentials.bearer_token is not None:
        return {"authorization": f"Bearer {credentials.bearer_token}"}
    username = credentials.username if credentials.username is not None else location.username
    password = credentials.password if credentials.username is not None else location.password
    if username is None:
        return {}
    token = base64.b64encode(f"{username}:{password or ''}".encode()).decode("ascii")
    return {"authorization": f"Basic {token}"}


# Any of these says that the pod has an identity of its own for the cloud's credential chain to use.
_POD_IDENTITY = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)


def _s3_config(credentials: settings.Credentials, ambient: Mapping[str, str]) -> "S3Config":
    config: S3Config = {"region": credentials.region or ambient.get("AWS_REGION") or "us-east-1"}
    if credentials.endpoint_url is not None:
        config["endpoint"] = credentials.endpoint_url
    if credentials.access_key_id is not None:
        config["access_key_id"] = credentials.access_key_id
    if credentials.secret_access_key is not None:
        config["secret_access_key"] = credentials.secret_access_key
    if credentials.session_token is not None:
        config["session_token"] = credentials.session_token
    has_identity = any(ambient.get(variable) for variable in _POD_IDENTITY)
    if credentials.access_key_id is None and credentials.endpoint_url is not None and not has_identity:
        # A server of one's own, no key and no identity: the cloud's metadata service could only delay the answer.
        config["skip_signature"] = True
    return config
