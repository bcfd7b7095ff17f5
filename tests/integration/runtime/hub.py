"""A fake of the Hugging Face Hub: the requests of its API that `fetch` makes, and those that its own client makes.

There is no hub to run. test_fetch_hub.py proves this one: the real `huggingface_hub` downloads from it and understands
its failures. Large files are sent from a second server, as the hub does it.
"""

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from tests.support import webserver

COMMIT, OLDER = "c" * 40, "a" * 40
TOKEN = "hf_canary"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclasses.dataclass
class Repository:
    """A repository at two commits: `main` and `v1` is the older one.

    Attributes:
        files: path → content at COMMIT; those that end in `.bin`, `.onnx` or `.joblib` are large files (LFS).
        older: the same at OLDER, which the tag `v1` names.
        access: `open`, `private` or `gated` (both want TOKEN).
    """

    files: dict[str, bytes]
    older: dict[str, bytes] = dataclasses.field(default_factory=dict)
    access: str = "open"

    def commit(self, revision: str) -> str | None:
        """The commit of a revision."""
        return {"main": COMMIT, COMMIT: COMMIT, "v1": OLDER, "refs/pr/1": OLDER, OLDER: OLDER}.get(revision)

    def at(self, commit: str) -> dict[str, bytes]:
        """The files of a commit."""
        return self.files if commit == COMMIT else self.older


@dataclasses.dataclass
class Asked:
    """One request: which server it came to, its path, and the login that came with it."""

    server: str
    method: str
    path: str
    authorization: str | None


@dataclasses.dataclass
class Hub:
    """The two servers.

    Attributes:
        url: the endpoint.
        repositories: org/name → repository.
        asked: the requests in their order.
        damaged: paths of large files that the second server sends with another last byte.
    """

    url: str = ""
    storage_url: str = ""
    repositories: dict[str, Repository] = dataclasses.field(default_factory=dict)
    asked: list[Asked] = dataclasses.field(default_factory=list)
    damaged: set[str] = dataclasses.field(default_factory=set)


def is_large(path: str) -> bool:
    """Says whether a file is kept apart (LFS)."""
    return path.endswith((".bin", ".onnx", ".joblib"))


@contextlib.contextmanager
def running(repositories: Mapping[str, Repository], host: str = webserver.LOOPBACK) -> Iterator[Hub]:
    """Runs a hub on an address of this machine; on loopback its storage has another name."""
    hub = Hub(repositories=dict(repositories))
    hub_handler, storage_handler = (
        type(kind.__name__, (kind,), {"hub": hub}) for kind in (_HubHandler, _StorageHandler)
    )
    storage_host = "localhost" if host == webserver.LOOPBACK else host
    with (
        webserver.serving(hub_handler, host=host) as port,
        webserver.serving(storage_handler, host=host) as storage_port,
    ):
        hub.url, hub.storage_url = f"http://{host}:{port}", f"http://{storage_host}:{storage_port}"
        yield hub


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: ClassVar[Hub]
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        raise NotImplementedError

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answers, with a span of the body where one is asked for."""
        match = _RANGE.fullmatch(self.headers.get("range", ""))
        if match and status == 200 and body:
            start, end = int(match[1]), min(int(match[2] or len(body) - 1), len(body) - 1)
            headers["Content_Range"] = f"bytes {start}-{end}/{len(body)}"
            status, body = 206, body[start : end + 1]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _HubHandler(_Handler):
    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        self.hub.asked.append(Asked("hub", self.command, parts.path, self.headers.get("authorization")))
        names = parts.path.strip("/").split("/")
        if names[:2] == ["api", "models"] and names[4:5] in (["revision"], ["tree"]):
            self._repository("/".join(names[2:4]), urllib.parse.unquote(names[5]), names[4])
        elif names[2:3] == ["resolve"]:
            path = urllib.parse.unquote("/".join(names[4:]))
            self._file("/".join(names[:2]), urllib.parse.unquote(names[3]), path)
        else:
            self.answer(404)

    def _found(self, name: str, may_list: bool) -> Repository | None:
        repository = self.hub.repositories.get(name)
        is_known = self.headers.get("authorization") == f"Bearer {TOKEN}"
        if repository is None or (repository.access == "private" and not is_known):
            self.answer(404 if is_known else 401, X_Error_Code="RepoNotFound")
            return None
        if repository.access == "gated" and not is_known and not may_list:
            self.answer(401, X_Error_Code="GatedRepo")
            return None
        return repository

    def _repository(self, name: str, revision: str, what: str) -> None:
        if (repository := self._found(name, True)) is None:
            return
        commit = repository.commit(revision)
        if commit is None:
            self.answer(404, X_Error_Code="RevisionNotFound")
            return
        files = repository.at(commit)
        if what == "tree":
            tree = [{"type": "file", **_described(path, content, "path")} for path, content in files.items()]
            self.answer(200, json.dumps(tree).encode(), Content_Type="application/json")
            return
        model = {
            "id": name, "modelId": name, "sha": commit, "private": False, "tags": [], "downloads": 0, "likes": 0,
            "siblings": [_described(path, content, "rfilename") for path, content in files.items()],
        }  # fmt: skip
        self.answer(200, json.dumps(model).encode(), Content_Type="application/json")

    def _file(self, name: str, revision: str, path: str) -> None:
        if (repository := self._found(name, False)) is None:
            return
        commit = repository.commit(revision)
        if commit is None:
            self.answer(404, X_Error_Code="RevisionNotFound")
            return
        content = repository.at(commit).get(path)
        if content is None:
            self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
            return
        if not is_large(path):
            self.answer(200, content, ETag=f'"{_blob_id(content)}"', X_Repo_Commit=commit)
            return
        sha256 = hashlib.sha256(content).hexdigest()
        where = f"{self.hub.storage_url}/{name}/{sha256}?path={urllib.parse.quote(path)}&signature=canary"
        self.answer(
            302,
            Location=where,
            X_Linked_ETag=f'"{sha256}"',
            X_Linked_Size=str(len(content)),
            X_Repo_Commit=commit,
        )


class _StorageHandler(_Handler):
    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        self.hub.asked.append(Asked("storage", self.command, parts.path, self.headers.get("authorization")))
        name, _, sha256 = parts.path.strip("/").rpartition("/")
        path = urllib.parse.parse_qs(parts.query)["path"][0]
        repository = self.hub.repositories[name]
        contents = [each.get(path, b"") for each in (repository.files, repository.older)]
        (content,) = {each for each in contents if hashlib.sha256(each).hexdigest() == sha256}
        if path in self.hub.damaged:
            content = content[:-1] + b"?"
        self.answer(200, content, ETag=f'"{sha256}"')


def _described(path: str, content: bytes, name_key: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        name_key: path,
        "size": len(content),
        "blobId": _blob_id(content),
        "oid": _blob_id(content),
    }
    if is_large(path):
        sha256 = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"sha256": sha256, "oid": sha256, "size": len(content), "pointerSize": 134}
    return found


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def encoded(content: Mapping[str, bytes]) -> dict[str, str]:
    """Gives contents as JSON can carry them."""
    return {path: base64.b64encode(each).decode() for path, each in content.items()}
