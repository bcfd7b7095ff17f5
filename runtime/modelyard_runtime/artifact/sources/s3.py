"""Artifacts in S3 buckets, Amazon's or any server's that speaks the same.

Chosen by `sources.opening`; `objectstore` does the talking. What the credentials' keys mean to S3 is known here alone.
"""

import urllib.parse
from typing import TYPE_CHECKING

import obstore.store

from modelyard_runtime import errors
from modelyard_runtime.artifact import faults, source, web
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import bucket, objectstore, signed

if TYPE_CHECKING:
    from obstore.store import S3Config

_VIRTUAL_HOSTS = "AWS_VIRTUAL_HOSTED_STYLE_REQUEST"


def build(location: uris.Location, surroundings: source.Surroundings) -> bucket.BucketSource:
    """Gives the source of a URI; raises `StartFailure` (SettingsInvalid, AccessDenied)."""
    credentials = surroundings.credentials
    endpoint = _endpoint(location.host, surroundings)
    config = _s3_config(endpoint, surroundings)
    has_key = credentials.get("AWS_ACCESS_KEY_ID") is not None
    if not config.get("skip_signature"):
        credentials.require_host((endpoint and endpoint.hostname) or f"s3.{config['region']}.amazonaws.com")
    place = faults.Place(
        shown=location.shown,
        server=f"the S3 server at {endpoint.netloc.rpartition('@')[2]}" if endpoint else "Amazon S3",
        key_names="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        has_credentials=has_key,
        has_identity=not has_key and not config.get("skip_signature"),
        take_failure=surroundings.egress.take_failure,
    )
    try:
        store = obstore.store.S3Store(
            location.host,
            config=config,
            client_options=objectstore.client_options(endpoint is not None and endpoint.scheme == "http", {}),
            retry_config=objectstore.RETRY,
        )
    except objectstore.FAULTS as error:
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID,
            "the credentials Secret is incomplete for S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together",
        ) from error
    if config.get("skip_signature"):
        return bucket.BucketSource(store, location, place)
    return signed.SignedSource(store, location, place, web.Client(surroundings.egress))


def _endpoint(name: str, surroundings: source.Surroundings) -> urllib.parse.SplitResult | None:
    """Gives the server's URL, None for Amazon's own; with the bucket in the host's name where that is asked for."""
    given = surroundings.credentials.get("AWS_ENDPOINT_URL") or surroundings.ambient.get("AWS_ENDPOINT_URL")
    if not given:
        return None
    endpoint = bucket.parse_endpoint(given, "AWS_ENDPOINT_URL")
    if not _has_virtual_hosts(surroundings):
        return endpoint
    # The library takes such an address as it is.
    user, at, address = endpoint.netloc.rpartition("@")
    return endpoint._replace(netloc=f"{user}{at}{name}.{address}")


def _has_virtual_hosts(surroundings: source.Surroundings) -> bool:
    return surroundings.credentials.get(_VIRTUAL_HOSTS) == "true"


def _s3_config(endpoint: urllib.parse.SplitResult | None, surroundings: source.Surroundings) -> "S3Config":
    credentials, ambient = surroundings.credentials, surroundings.ambient
    config: S3Config = {
        "region": credentials.get("AWS_REGION") or ambient.get("AWS_REGION") or "us-east-1",
        "virtual_hosted_style_request": _has_virtual_hosts(surroundings),
    }
    if endpoint is not None:
        config["endpoint"] = endpoint.geturl()
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
