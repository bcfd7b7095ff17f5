"""Models on the Hugging Face Hub, or on a mirror that speaks its API.

Chosen by `sources.opening`. The revision is asked for once and every file taken from the commit it stands for then.
`hubmodel` says which files there are, `artifact.web` brings them: the hub sends large ones to another server, where the
token does not go along. docs/adr/0017 says why there is no library for this.
"""

import contextlib
import urllib.parse
from collections.abc import Iterator

import urllib3

from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import faults, references, source, web, webfaults
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import http, hubmodel

_ENDPOINT = "https://huggingface.co"
_HEADERS = {"user-agent": "modelyard-runtime", "accept-encoding": "identity"}
_WHAT_IS_MISSING = {
    "RevisionNotFound": "the repository has no such revision; check the branch, tag or commit",
    "EntryNotFound": "the repository has no such file at this commit",
}


def build(location: uris.Location, surroundings: source.Surroundings) -> "HubSource":
    """Gives the source of a URI; raises `StartFailure` (SettingsInvalid, AccessDenied)."""
    named = location.hub
    assert named is not None  # noqa: S101 - what `uri.parse` gives for this scheme
    endpoint = (surroundings.credentials.get("HF_ENDPOINT") or _ENDPOINT).rstrip("/")
    try:
        url = web.parse(endpoint)
    except ValueError as error:
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID,
            f"the key HF_ENDPOINT of the credentials Secret is no URL of a hub: {error}; write https://host",
        ) from None
    hub = _Hub(endpoint, url, surroundings.credentials, web.Client(surroundings.egress), location.shown)
    return HubSource(location.shown, named, hub)


class HubSource:
    """One file or folder of a repository, or all of it."""

    def __init__(self, shown: str, named: references.HubRepository, hub: "_Hub") -> None:
        self._shown = shown
        self._named = named
        self._hub = hub
        self._found: hubmodel.Snapshot | None = None

    def list_files(self) -> source.Listing:
        """Gives the files of the commit that the revision stands for."""
        return self._snapshot().listing

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Requests one file, or a span of it."""
        snapshot = self._snapshot()
        path = urllib.parse.quote(snapshot.prefix + file.path)
        content = self._hub.open(f"/{self._named.repository}/resolve/{snapshot.commit}/{path}", span)
        size_bytes = content.size_bytes if file.size_bytes is None else file.size_bytes
        return source.Content(size_bytes, content.chunks, snapshot.commit, content.is_span)

    def _snapshot(self) -> hubmodel.Snapshot:
        if self._found is None:
            revision = urllib.parse.quote(self._named.revision, safe="")
            answer = self._hub.ask(f"/api/models/{self._named.repository}/revision/{revision}?blobs=true")
            self._found = hubmodel.read(answer, self._named, self._shown)
        return self._found


class _Hub:
    """A hub and the token for it."""

    def __init__(
        self, endpoint: str, url: web.Url, credentials: secrets.Credentials, client: web.Client, shown: str
    ) -> None:
        self._endpoint = endpoint
        self._client = client
        self._shown = shown
        self._authorization: str | None = None
        if (token := credentials.get("HF_TOKEN")) is not None:
            credentials.require_host(url.host)
            self._authorization = f"Bearer {token}"
        self._place = faults.Place(
            shown=shown,
            server=f"the hub {url.host}",
            key_names="HF_TOKEN",
            has_credentials=self._authorization is not None,
        )

    def ask(self, path: str) -> bytes:
        """Gives the hub's answer; raises `StartFailure`."""
        with self._get(path, {}) as answer:
            if answer.status != 200:
                raise self._failure(answer)
            content = web.read_body(answer, hubmodel.MAX_BYTES)
        if len(content) > hubmodel.MAX_BYTES:
            raise errors.StartFailure(
                errors.Reason.ARTIFACT_TOO_LARGE,
                f"{self._shown} has so many files that the hub's list has more than {hubmodel.MAX_BYTES} bytes; name a "
                "smaller repository",
            )
        return content

    def open(self, path: str, span: source.Span | None) -> source.Content:
        """Opens a file; raises `StartFailure`."""
        url = web.parse(f"{self._endpoint}{path}")
        opened = http.HttpSource(url, self._authorization, self._client, self._place)
        try:
            return opened.open_file(source.File("", None), span)
        except errors.StartFailure as failure:
            if failure.reason not in (errors.Reason.ACCESS_DENIED, errors.Reason.ARTIFACT_NOT_FOUND):
                raise
        # The hub says in a header why: asked for once more, because only here is it read.
        with self._get(path, {"range": "bytes=0-0"}) as answer:
            raise self._failure(answer)

    @contextlib.contextmanager
    def _get(self, path: str, more: dict[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        url = web.parse(f"{self._endpoint}{path}")
        try:
            answer = self._client.get(url, {**_HEADERS, **more}, self._authorization)
            try:
                yield answer
            finally:
                answer.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise webfaults.explain(error, self._place) from error

    def _failure(self, answer: urllib3.BaseHTTPResponse) -> errors.StartFailure:
        code = answer.headers.get("x-error-code", "")
        if code == "GatedRepo":
            return errors.StartFailure(
                errors.Reason.ACCESS_DENIED,
                f"{self._shown} is gated: accept its conditions on {self._place.server}, and put a token of the "
                "account that did so into HF_TOKEN in the Secret that spec.model.credentials.secretName names",
            )
        if code == "RepoNotFound" or (answer.status == 401 and self._authorization is None):
            return errors.StartFailure(
                errors.Reason.ARTIFACT_NOT_FOUND,
                f"{self._shown} does not exist on {self._place.server}, or is private: check the name, or put a token "
                "that may read it into HF_TOKEN in the Secret that spec.model.credentials.secretName names",
            )
        if code in _WHAT_IS_MISSING:
            return errors.StartFailure(
                errors.Reason.ARTIFACT_NOT_FOUND, f"{self._shown} does not exist: {_WHAT_IS_MISSING[code]}"
            )
        return faults.of_status(answer.status, self._place)
