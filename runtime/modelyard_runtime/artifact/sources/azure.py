"""Artifacts in Azure Blob Storage, or in a server that speaks its API.

Chosen by `sources.opening`; `objectstore` does the talking. What the credentials' keys mean to Azure is known here
alone. The pod's own identity is a bearer token: it must never go to an address that a Secret names.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import obstore.store

from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import faults, source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import bucket, objectstore

if TYPE_CHECKING:
    from obstore.store import AzureConfig

_ACCOUNT = "AZURE_STORAGE_ACCOUNT_NAME"
_ACCOUNT_KEY = "AZURE_STORAGE_ACCOUNT_KEY"
_SAS_TOKEN = "AZURE_STORAGE_SAS_TOKEN"  # noqa: S105 - the key's name
_ENDPOINT = "AZURE_STORAGE_ENDPOINT"
_AUTHORITY = "AZURE_AUTHORITY_HOST"
_APPLICATION = ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID")
# Azure's own rule; it also keeps the name from becoming part of an address elsewhere.
_ACCOUNT_NAME = re.compile(r"[a-z0-9]{3,24}")
# What Azure's workload identity puts into a pod's environment.
_POD_IDENTITY = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")


def build(location: uris.Location, surroundings: source.Surroundings) -> bucket.BucketSource:
    """Gives the source of a URI; raises `StartFailure` (SettingsInvalid, AccessDenied)."""
    credentials, ambient = surroundings.credentials, surroundings.ambient
    account = credentials.get(_ACCOUNT) or ambient.get(_ACCOUNT)
    if account is None:
        raise _invalid(
            f"{location.shown} does not say in which storage account its container is; set {_ACCOUNT}"
        )
    if not _ACCOUNT_NAME.fullmatch(account):
        raise _invalid(f"{_ACCOUNT} has 3 to 24 lower-case letters and digits")
    identity = _identity(credentials, ambient)
    endpoint = (
        credentials.get(_ENDPOINT) or ambient.get(_ENDPOINT) or f"https://{account}.blob.core.windows.net"
    )
    parts = bucket.parse_endpoint(endpoint, _ENDPOINT)
    if "skip_signature" not in identity:
        credentials.require_host(parts.hostname or "")
    place = faults.Place(
        shown=location.shown,
        server=f"the Azure Blob Storage at {parts.netloc.rpartition('@')[2]}",
        key_names=f"{_ACCOUNT_KEY}, {_SAS_TOKEN} or {', '.join(_APPLICATION)}",
        has_credentials="skip_signature" not in identity,
        has_identity="federated_token_file" in identity,
        take_failure=surroundings.egress.take_failure,
    )
    try:
        store = obstore.store.AzureStore(
            location.host,
            config={"account_name": account, "endpoint": endpoint.rstrip("/"), **identity},
            client_options=objectstore.client_options(parts.scheme == "http", {}),
            retry_config=objectstore.RETRY,
        )
    except objectstore.FAULTS as error:
        raise _invalid(
            f"{_ACCOUNT_KEY} is the account's key in base64, {_SAS_TOKEN} a query such as sv=…&sig=…, as the portal "
            "shows them, and one of the given values is neither"
        ) from error
    return bucket.BucketSource(store, location, place)


def _identity(credentials: secrets.Credentials, ambient: Mapping[str, str]) -> "AzureConfig":
    """Gives who asks: the Secret's account key, SAS token or application, else the pod's own identity, else nobody."""
    if (account_key := credentials.get(_ACCOUNT_KEY)) is not None:
        return {"credential_type": "access_key", "account_key": account_key}
    if (sas_token := credentials.get(_SAS_TOKEN)) is not None:
        return {"credential_type": "sas_token", "sas_key": sas_token}
    client_id, client_secret, tenant_id = (credentials.get(key) for key in _APPLICATION)
    if client_secret is not None:
        if client_id is None or tenant_id is None:
            raise _invalid(f"{', '.join(_APPLICATION)} go together, and one is missing")
        given: AzureConfig = {
            "credential_type": "client_secret",
            "client_id": client_id,
            "client_secret": client_secret,
            "tenant_id": tenant_id,
        }
        return _at_authority(given, credentials.get(_AUTHORITY))
    client_id, tenant_id, token_file = (ambient.get(variable) for variable in _POD_IDENTITY)
    if not (client_id and tenant_id and token_file) or credentials.get(_ENDPOINT) is not None:
        return {"skip_signature": True}
    own: AzureConfig = {
        "credential_type": "workload_identity",
        "client_id": client_id,
        "tenant_id": tenant_id,
        "federated_token_file": token_file,
    }
    return _at_authority(own, ambient.get(_AUTHORITY))


def _at_authority(config: "AzureConfig", authority: str | None) -> "AzureConfig":
    if authority:
        config["authority_host"] = authority
    return config


def _invalid(problem: str) -> errors.StartFailure:
    return errors.StartFailure(
        errors.Reason.SETTINGS_INVALID, f"the credentials Secret is not complete for Azure: {problem}"
    )
