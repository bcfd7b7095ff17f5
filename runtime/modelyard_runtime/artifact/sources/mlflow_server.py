"""One MLflow tracking server: questions to its REST API, and the artifacts that it passes on itself.

Used by `sources.mlflow`; `artifact.web` does the talking. The login goes to the server that MLFLOW_TRACKING_URI names
and to no other. It must never show the server's own error text: it repeats what was asked, and at times more.
"""

import base64
import urllib.parse
from collections.abc import Mapping

import msgspec
import urllib3

from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import faults, source, web, webfaults
from modelyard_runtime.artifact.sources import http, objectstore
from modelyard_runtime.artifact.sources import mlflow_answers as answers

_URI = "MLFLOW_TRACKING_URI"
_TOKEN, _USERNAME, _PASSWORD = "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
_API = "/api/2.0/"
_PROXY = "mlflow-artifacts/artifacts"
_MAX_ANSWER_BYTES = 8 * 1024**2  # a folder of 10 000 files is listed in 1 MiB
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "modelyard-runtime"}


class Server:
    """A tracking server, as the credentials name it.

    Attributes:
        url: its URL, without user and query.
    """

    def __init__(self, shown: str, surroundings: source.Surroundings) -> None:
        credentials = surroundings.credentials
        uri = credentials.get(_URI) or surroundings.ambient.get(_URI)
        if uri is None:
            raise _invalid(f"{shown} needs a tracking server; set {_URI} in the credentials Secret")
        try:
            self.url = web.parse(uri.rstrip("/"))
        except ValueError as error:
            raise _invalid(f"{_URI} is not the http: or https: URL of a tracking server: {error}") from None
        self._client = web.Client(surroundings.egress)
        self._authorization = _authorization(credentials)
        if self._authorization is not None:
            credentials.require_host(self.url.host)
        self._place = faults.Place(
            shown=shown,
            server=f"the MLflow tracking server {self.url.host}:{self.url.port}",
            key_names=f"{_TOKEN}, or {_USERNAME} and {_PASSWORD},",
            has_credentials=self._authorization is not None,
        )

    def ask(
        self, path: str, parameters: Mapping[str, str], kind: type[answers.Answer]
    ) -> answers.Answer | None:
        """Gives the API's answer, None where the server knows no such thing; raises `StartFailure`."""
        query = urllib.parse.urlencode(parameters)
        try:
            answer = self._client.get(self._at(path, query), _HEADERS, self._authorization)
            try:
                status, content = answer.status, web.read_body(answer, _MAX_ANSWER_BYTES)
            finally:
                answer.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise webfaults.explain(error, self._place) from error
        if status not in (200, 404):
            raise faults.of_status(status, self._place)
        try:
            if status == 200:
                return msgspec.json.decode(content, type=kind, strict=False)
            msgspec.json.decode(content, type=answers.Failure)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise faults.unreachable(
                self._place, f"its answer is not that of an MLflow tracking server; check {_URI}"
            ) from None
        return None

    def open_artifact(self, path: str, span: source.Span | None = None) -> source.Content:
        """Opens a file that the server passes on; raises `StartFailure`."""
        url = self._at(f"{_PROXY}/{urllib.parse.quote(path)}", "")
        origin = http.HttpSource(url, self._authorization, self._client, self._place)
        return origin.open_file(source.File("", None), span)

    def list_artifacts(self, path: str) -> list[source.File]:
        """Gives the files below a path, with theirs relative to it; none where there is no such folder."""
        files: list[source.File] = []
        waiting, asked = [""], 0
        while waiting:
            folder, asked = waiting.pop(), asked + 1
            answer = self.ask(_PROXY, {"path": f"{path}/{folder}".rstrip("/")}, answers.EntriesAnswer)
            for entry in answer.files if answer else ():
                below = f"{folder}{self._checked(entry.path)}"
                if entry.is_dir:
                    waiting.append(f"{below}/")
                else:
                    files.append(source.File(below, entry.file_size))
            if len(files) + len(waiting) + asked > objectstore.MAX_FILES:
                raise errors.StartFailure(
                    errors.Reason.ARTIFACT_TOO_LARGE,
                    f"{self._place.shown} holds more than {objectstore.MAX_FILES} files; name the model's own folder",
                )
        return files

    def _checked(self, name: str) -> str:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise errors.StartFailure(
                errors.Reason.URI_UNSUPPORTED,
                f"{self._place.shown} holds the name {name!r}, which can't be a file name",
            )
        return name

    def _at(self, path: str, query: str) -> web.Url:
        target = self.url.target.partition("?")[0].rstrip("/") + _API + path
        return web.Url(
            self.url.scheme, self.url.host, self.url.port, f"{target}?{query}" if query else target
        )


def _authorization(credentials: secrets.Credentials) -> str | None:
    """Gives the Authorization header: the user where both halves are given, else the token, as MLflow's client does."""
    username, password = credentials.get(_USERNAME), credentials.get(_PASSWORD)
    if username and password:
        return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    token = credentials.get(_TOKEN)
    return f"Bearer {token}" if token else None


def _invalid(problem: str) -> errors.StartFailure:
    return errors.StartFailure(errors.Reason.SETTINGS_INVALID, problem)
