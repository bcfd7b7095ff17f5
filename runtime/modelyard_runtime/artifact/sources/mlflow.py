"""Artifacts that MLflow keeps: `mlflow://models/name/version` and `runs:/run/path`.

Chosen by `sources.opening`. The tracking server says where the files are; those that it does not pass on itself come
from the source of that place, with the same credentials. What a registry says is no more trusted than a URI: files of
this pod or of the server itself are never opened.
"""

import dataclasses
import logging
import re
from collections.abc import Iterator

from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import patterns, source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import mlflow_registry, mlflow_server, opening

_log = logging.getLogger(__name__)
_ACCOUNT = "AZURE_STORAGE_ACCOUNT_NAME"
# Azure as Spark and MLflow write it: wasbs://container@account.blob.core.windows.net/path
_AZURE = re.compile(
    r"(?:wasbs?|abfss?)://(?P<container>[^@/]+)@(?P<account>[a-z0-9]{3,24})\.[a-z0-9.-]+/(?P<path>.*)"
)
_PROXIED = re.compile(r"mlflow-artifacts:(?://(?P<host>[^/]*))?/(?P<path>.*)")


def build(location: uris.Location, surroundings: source.Surroundings) -> "MlflowSource":
    """Gives the source of a URI; raises `StartFailure` (SettingsInvalid, AccessDenied)."""
    return MlflowSource(location, surroundings)


class MlflowSource:
    """The files of a registered model's version, or of a path among a run's artifacts."""

    def __init__(self, location: uris.Location, surroundings: source.Surroundings) -> None:
        self._location = location
        self._surroundings = surroundings
        self._server = mlflow_server.Server(location.shown, surroundings)
        self._found: source.Source | None = None

    def list_files(self) -> source.Listing:
        """Asks where the files are and gives them."""
        addresses = mlflow_registry.find(self._location, self._server.ask)
        missing: errors.StartFailure | None = None
        for address in addresses:
            for candidate in self._candidates(address):
                try:
                    listing = candidate.list_files()
                except errors.StartFailure as failure:
                    if failure.reason is not errors.Reason.ARTIFACT_NOT_FOUND:
                        raise
                    missing = failure
                else:
                    self._found = candidate
                    return listing
        raise missing or self._elsewhere("nowhere")

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Opens one of the listed files."""
        assert self._found is not None, "files are listed first"  # noqa: S101
        return self._found.open_file(file, span)

    def _candidates(self, address: str) -> Iterator[source.Source]:
        """Gives what may be meant by an address: the server's own artifacts, else a folder, then a file."""
        if (path := self._path_on_server(address)) is not None:
            yield Proxied(self._server, self._location, path)
            return
        place, surroundings = self._place(address)
        self._check_policy(place)
        _log.info("the tracking server names a place", extra={"fields": {"uri": place.shown}})
        folder = uris.parse(f"{place.scheme}://{place.host}/{place.path.rstrip('/')}/")
        yield opening.open_source(folder, surroundings)
        if self._location.scheme == "runs":
            yield ExistingFile(opening.open_source(place, surroundings))

    def _path_on_server(self, address: str) -> str | None:
        """Gives the path of an address that the tracking server itself passes on."""
        match = _PROXIED.fullmatch(address)
        if match is None:
            return None
        host = match["host"]
        if host and host not in (self._server.url.host, f"{self._server.url.host}:{self._server.url.port}"):
            raise self._elsewhere(f"mlflow-artifacts: on another server, {host!r}")
        return match["path"].strip("/")

    def _place(self, address: str) -> tuple[uris.Location, source.Surroundings]:
        scheme = address.partition(":")[0]
        if scheme in ("s3", "gs"):
            return uris.parse(address), self._surroundings
        if (match := _AZURE.fullmatch(address)) is not None:
            location = uris.parse(f"az://{match['container']}/{match['path']}")
            return location, _with_account(self._surroundings, match["account"], location.shown)
        raise self._elsewhere(f"{scheme}:" if re.fullmatch(r"[a-z0-9+.-]{2,40}", scheme) else "a folder")

    def _check_policy(self, place: uris.Location) -> None:
        """Raises `StartFailure` (PolicyViolation) where a registry would open what the URI itself may not name."""
        allowed = self._surroundings.allowed_uris
        if allowed and not any(patterns.allows(pattern, place.shown) for pattern in allowed):
            raise errors.StartFailure(
                errors.Reason.POLICY_VIOLATION,
                f"policy.allowedURIs: {self._location.shown} is at {place.shown} for the tracking server, which is not "
                f"under what this namespace may use: {', '.join(allowed)}. Let the server pass its artifacts on, or "
                "ask the administrator.",
            )

    def _elsewhere(self, place: str) -> errors.StartFailure:
        return errors.StartFailure(
            errors.Reason.URI_UNSUPPORTED,
            f"{self._location.shown}: the tracking server keeps these files at {place}, where fetch can't get them; "
            "let it pass its artifacts on (mlflow server --artifacts-destination), or keep them in s3:, gs: or wasbs:",
        )


def _with_account(surroundings: source.Surroundings, account: str, shown: str) -> source.Surroundings:
    """Gives the surroundings with the storage account that an address names; a Secret for another one is not for it."""
    values = surroundings.credentials.values
    if values.get(_ACCOUNT, account) != account:
        raise errors.StartFailure(
            errors.Reason.ACCESS_DENIED,
            f"{shown} is in the storage account {account!r}, and the credentials are for {values[_ACCOUNT]!r}; "
            f"set {_ACCOUNT} and the keys of that account",
        )
    return dataclasses.replace(surroundings, credentials=secrets.Credentials({**values, _ACCOUNT: account}))


class Proxied:
    """A folder or a file among the artifacts that the tracking server passes on."""

    def __init__(self, server: mlflow_server.Server, location: uris.Location, path: str) -> None:
        self._server = server
        self._location = location
        self._path = path

    def list_files(self) -> source.Listing:
        """Gives the files of the folder, or the file; raises `StartFailure`."""
        if files := self._server.list_artifacts(self._path):
            return source.Listing(True, tuple(files))
        folder, _, name = self._path.rpartition("/")
        beside = self._server.list_artifacts(folder)
        found = next((file for file in beside if file.path == name), None)
        if found is not None:
            return source.Listing(False, (source.File("", found.size_bytes),))
        names = sorted({file.path.partition("/")[0] for file in beside})[:5]
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_NOT_FOUND,
            f"{self._location.shown}: the tracking server has no such artifact; "
            + (f"there are, among others: {', '.join(names)}" if names else "its folder is empty"),
        )

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Opens one file."""
        return self._server.open_artifact(f"{self._path}/{file.path}".rstrip("/"), span)


class ExistingFile:
    """An object that is looked for when it is listed, since there may be another candidate."""

    def __init__(self, origin: source.Source) -> None:
        self._origin = origin

    def list_files(self) -> source.Listing:
        """Gives the one file, once it has been seen; raises `StartFailure`."""
        listing = self._origin.list_files()
        self._origin.open_file(listing.files[0], source.Span(0, 1))
        return listing

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Opens it."""
        return self._origin.open_file(file, span)
