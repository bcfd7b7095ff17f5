"""One file behind http: or https:.

Chosen by `sources.opening`; `artifact.web` does the talking. What the credentials' keys mean to HTTP, and what an
answer's headers mean to a transfer, is known here alone.
"""

import base64
import datetime
import email.utils
import re
from collections.abc import Iterator, Mapping

import urllib3

from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import faults, source, web, webfaults
from modelyard_runtime.artifact import uri as uris

_CHUNK_BYTES = 256 * 1024  # stays in the processor's cache from the socket to the disk
_LONGEST_ERROR_BYTES = 4096
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
# A file that changes twice within this time may keep its date.
_DATE_IS_EXACT_AFTER = datetime.timedelta(seconds=1)


def build(location: uris.Location, surroundings: source.Surroundings) -> "HttpSource":
    """Gives the source of a URI; raises `StartFailure` (UriUnsupported, AccessDenied)."""
    try:
        url = web.parse(location.raw)
    except ValueError as error:
        raise errors.StartFailure(
            errors.Reason.URI_UNSUPPORTED, f"{location.shown} can't be used: {error}"
        ) from None
    authorization = _authorization(location, url, surroundings.credentials)
    place = faults.Place(
        shown=location.shown,
        server=f"the HTTP server {location.host}",
        key_names="HTTP_BEARER_TOKEN, or HTTP_USERNAME and HTTP_PASSWORD,",
        has_credentials=authorization is not None,
    )
    return HttpSource(url, authorization, web.Client(surroundings.egress), place)


class HttpSource:
    """One file behind http: or https:, for other sources too that end in a URL."""

    def __init__(
        self, url: web.Url, authorization: str | None, client: web.Client, place: faults.Place
    ) -> None:
        self._url = url
        self._authorization = authorization
        self._client = client
        self._place = place

    def list_files(self) -> source.Listing:
        """Gives the one file; HTTP has no folders."""
        return source.Listing(False, (source.File("", None),))

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Requests the file, or a span of it; a server that has no spans answers with the whole."""
        del file
        headers = {"accept-encoding": "identity", "accept": "*/*", "user-agent": "modelyard-runtime"}
        if span is not None:
            headers["range"] = f"bytes={span.start}-{'' if span.end is None else span.end - 1}"
        try:
            answer = self._client.get(self._url, headers, self._authorization)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise webfaults.explain(error, self._place) from error
        if answer.status == 416 and span is not None and span.start == 0:
            answer.close()
            return self.open_file(source.File("", None))  # an empty file has no spans
        if answer.status not in (200, 206):
            raise faults.of_status(answer.status, self._place, _error_text(answer))
        try:
            return self._content(answer, span)
        except BaseException:
            answer.close()
            raise

    def _content(self, answer: urllib3.BaseHTTPResponse, span: source.Span | None) -> source.Content:
        if (encoding := answer.headers.get("content-encoding", "identity")) != "identity":
            raise self._failed(f"it sends the file in another form (Content-Encoding: {encoding[:40]!r})")
        chunks = self._chunks(answer)
        version = _version(answer.headers)
        if answer.status == 206:
            size_bytes = self._whole_size(answer.headers.get("content-range", ""), span)
            return source.Content(size_bytes, chunks, version, is_span=True)
        length = answer.headers.get("content-length")
        if length is None and "chunked" not in answer.headers.get("transfer-encoding", "").lower():
            raise self._failed("its answer does not say where the file ends (no Content-Length, not chunked)")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) <= 18):
            raise self._failed("its answer has a Content-Length that is no number")
        return source.Content(None if length is None else int(length), chunks, version)

    def _whole_size(self, content_range: str, span: source.Span | None) -> int:
        match = _CONTENT_RANGE.fullmatch(content_range)
        if match is None or span is None or int(match[1]) != span.start:
            raise self._failed("it answers with another part of the file than it was asked for")
        return int(match[3])

    def _chunks(self, answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        is_whole = False
        try:
            yield from answer.stream(_CHUNK_BYTES, decode_content=False)
            is_whole = True
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise webfaults.explain(error, self._place) from error
        finally:
            # A connection with bytes left in it is of no use to the next request.
            (answer.release_conn if is_whole else answer.close)()

    def _failed(self, problem: str) -> errors.StartFailure:
        return faults.unreachable(self._place, problem)


def _error_text(answer: urllib3.BaseHTTPResponse) -> str:
    """Gives the beginning of what a server says beside its status; searched for codes, never shown."""
    try:
        return answer.read(_LONGEST_ERROR_BYTES, decode_content=False).decode("utf-8", "replace")
    except (urllib3.exceptions.HTTPError, OSError):
        return ""
    finally:
        answer.close()


def _version(headers: Mapping[str, str]) -> str | None:
    """Gives what is the same as long as the bytes are: the strong ETag, else a date that is old enough to be exact."""
    etag = headers.get("etag", "")
    if etag and not etag.startswith("W/"):
        return etag
    modified, date = headers.get("last-modified"), headers.get("date")
    if modified is None or date is None:
        return None
    try:
        age = email.utils.parsedate_to_datetime(date) - email.utils.parsedate_to_datetime(modified)
    except (ValueError, TypeError):
        return None
    return modified if age >= _DATE_IS_EXACT_AFTER else None


def _authorization(location: uris.Location, url: web.Url, credentials: secrets.Credentials) -> str | None:
    """Gives the Authorization header: the Secret's token, else its user, else the user in the URI itself."""
    if (bearer_token := credentials.get("HTTP_BEARER_TOKEN")) is not None:
        credentials.require_host(url.host)
        return f"Bearer {bearer_token}"
    username, password = location.username, location.password
    if (given := credentials.get("HTTP_USERNAME")) is not None:
        credentials.require_host(url.host)
        username, password = given, credentials.get("HTTP_PASSWORD")
    if username is None:
        return None
    return "Basic " + base64.b64encode(f"{username}:{password or ''}".encode()).decode("ascii")
