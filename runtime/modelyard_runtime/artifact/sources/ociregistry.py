"""One repository of a registry: its manifests and blobs, by the OCI's distribution specification.

Used by `sources.oci`. `artifact.web` does the talking; ours is the login: nothing is sent before the registry has asked
for it, a password goes to the registry and to the token service that it names (by TLS, unless the registry itself is
without), and nothing of it goes along when a blob is redirected to another server. docs/adr/0017 says why there is no
library for this.
"""

import contextlib
import hashlib
import threading
import urllib.parse
from collections.abc import Iterator

import msgspec
import urllib3

from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import faults, references, source, web, webfaults
from modelyard_runtime.artifact.sources import http, ociaccess, ocimanifest

_MAX_TOKEN_BYTES = 64 * 1024
_AGENT = {"user-agent": "modelyard-runtime", "accept-encoding": "identity"}


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


class Repository:
    """A repository that is read; may be used by several threads."""

    def __init__(
        self, image: references.Image, shown: str, credentials: secrets.Credentials, client: web.Client
    ) -> None:
        self._image = image
        self._shown = shown
        self._credentials = credentials
        self._client = client
        self._is_plain = credentials.get("OCI_PLAIN_HTTP") == "true"
        self._login = ociaccess.login(image, credentials)
        self._authorization: str | None = None
        self._renewing = threading.Lock()
        self._place = faults.Place(
            shown=shown,
            server=f"the registry {image.registry}",
            key_names=ociaccess.KEY_NAMES,
            has_credentials=self._login is not None,
        )

    def manifest(self, reference: str, digest: str | None) -> bytes:
        """Gives a manifest by its tag or digest, checked against `digest` when there is one; raises `StartFailure`."""
        url = self._url("manifests", reference)
        with self._authorized(url, {**_AGENT, "accept": ocimanifest.ACCEPT}) as answer:
            if answer.status == 404:
                what = "no manifest" if ":" in reference else "no tag"
                raise errors.StartFailure(
                    errors.Reason.ARTIFACT_NOT_FOUND,
                    f"{self._shown} does not exist: {self._place.server} has {what} {reference!r} in "
                    f"{self._image.repository!r}; check the name, or push it",
                )
            content = self._body(answer, ocimanifest.MAX_BYTES, "manifest")
        actual = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if digest is not None and actual != digest:
            raise errors.StartFailure(
                errors.Reason.DIGEST_MISMATCH,
                f"{self._shown}: {self._place.server} answered with a manifest of the digest {actual}, but {digest} was"
                " asked for; nothing of it is used. Ask whoever runs the registry",
            )
        return content

    def open_blob(self, digest: str, span: source.Span | None) -> source.Content:
        """Opens a blob; whoever reads it has to check its digest. Raises `StartFailure`."""
        url = self._url("blobs", digest)
        used = self._authorization
        try:
            return self._open(url, used, span)
        except errors.StartFailure as failure:
            if failure.reason is errors.Reason.ARTIFACT_NOT_FOUND:
                raise errors.StartFailure(
                    failure.reason,
                    f"{self._shown}: {self._place.server} lacks the blob {digest} that the manifest names; push the "
                    "artifact again",
                ) from None
            if failure.reason is not errors.Reason.ACCESS_DENIED or not used:
                raise
        # A token is good for minutes, a model may take longer.
        self._renew(url, used)
        return self._open(url, self._authorization, span)

    def _open(self, url: web.Url, authorization: str | None, span: source.Span | None) -> source.Content:
        return http.HttpSource(url, authorization, self._client, self._place).open_file(
            source.File("", None), span
        )

    def _renew(self, url: web.Url, used: str | None) -> None:
        with self._renewing:
            if self._authorization == used:
                self._authorization = None
                with self._authorized(url, {**_AGENT, "range": "bytes=0-0"}):
                    pass

    @contextlib.contextmanager
    def _authorized(self, url: web.Url, headers: dict[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """Gives the answer to a request that is made again with the login, if the registry asks for one."""
        with self._get(url, headers, self._authorization) as answer:
            if answer.status != 401:
                self._check(answer)
                yield answer
                return
            challenge = ociaccess.parse_challenge(answer.headers.get("www-authenticate", ""))
        if challenge is None:
            raise faults.of_status(401, self._place)
        self._authorization = self._answer_to(challenge)
        with self._get(url, headers, self._authorization) as answer:
            self._check(answer)
            yield answer

    def _answer_to(self, challenge: ociaccess.Challenge) -> str:
        """Gives the Authorization header that a registry asks for."""
        if self._login is not None:
            self._credentials.require_host(self._url("", "").host)
        if challenge.scheme == "basic":
            if self._login is None:
                raise faults.of_status(401, self._place)
            return self._login.header
        text = ociaccess.token_url(challenge, self._image.repository, self._is_plain)
        try:
            url = web.parse(text or "")
        except ValueError:
            raise errors.StartFailure(
                errors.Reason.ACCESS_DENIED,
                f"{self._shown}: {self._place.server} names no token service that a login may be sent to (https)",
            ) from None
        if self._login is not None:
            self._credentials.require_host(url.host)
        with self._get(url, dict(_AGENT), self._login.header if self._login else None) as answer:
            self._check(answer, 400)
            content = self._body(answer, _MAX_TOKEN_BYTES, "token")
        try:
            given = msgspec.json.decode(content, type=_Token)
        except msgspec.DecodeError:
            given = _Token()
        if not (token := given.token or given.access_token):
            raise faults.unreachable(self._place, "its token service gave no token")
        return f"Bearer {token}"

    @contextlib.contextmanager
    def _get(
        self, url: web.Url, headers: dict[str, str], authorization: str | None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        try:
            answer = self._client.get(url, headers, authorization)
            try:
                yield answer
            finally:
                answer.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            found = webfaults.explain(error, self._place)
            # This URI has no http: that could be written instead.
            told = found.message.replace(
                "write http:// if", "set OCI_PLAIN_HTTP to true in the credentials Secret if"
            )
            raise errors.StartFailure(found.reason, told) from error

    def _check(self, answer: urllib3.BaseHTTPResponse, *denied: int) -> None:
        """Raises `StartFailure` for what is neither success nor a thing that is not there."""
        if answer.status in denied:
            raise faults.of_status(401, self._place)
        if answer.status not in (200, 206, 404, 416):
            raise faults.of_status(answer.status, self._place)

    def _body(self, answer: urllib3.BaseHTTPResponse, limit_bytes: int, what: str) -> bytes:
        if answer.status != 200:
            raise faults.of_status(answer.status, self._place)
        content = web.read_body(answer, limit_bytes)
        if len(content) > limit_bytes:
            raise errors.StartFailure(
                errors.Reason.ARTIFACT_TOO_LARGE,
                f"{self._shown}: {self._place.server} sends a {what} of more than {limit_bytes} bytes",
            )
        return content

    def _url(self, kind: str, name: str) -> web.Url:
        scheme = "http" if self._is_plain else "https"
        path = f"/v2/{self._image.repository}/{kind}/{urllib.parse.quote(name, safe=':')}"
        return web.parse(f"{scheme}://{ociaccess.api_host(self._image.registry)}{path}")
