"""What a URI names in a registry of images or a hub of models: the parts that have a grammar of their own.

`artifact.uri` parses with it, and the sources of these kinds take the parts. Pure.
"""

import dataclasses
import re
import urllib.parse

_REPOSITORY = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
_IMAGE = re.compile(
    rf"(?P<registry>[A-Za-z0-9.-]+(?::[0-9]{{1,5}})?)/(?P<repository>{_REPOSITORY})"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?(?:/(?P<path>[^?#]*))?"
)
_HUB = re.compile(
    r"(?P<repository>[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)"
    r"(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._%-]*))?(?:/(?P<path>[^?#]*))?"
)
_LONGEST_REPOSITORY = 255


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image or artifact in a registry; a digest beats a tag, and one of them is there. `path` is in the image."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None
    path: str

    @property
    def reference(self) -> str:
        """What names the manifest in the registry's API."""
        return self.digest or self.tag or ""

    @property
    def text(self) -> str:
        """The whole as container runtimes write it, without a path."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


@dataclasses.dataclass(frozen=True, slots=True)
class HubRepository:
    """A repository of a hub, a revision of it (a branch, a tag or a commit) and a file in it; empty is every file."""

    repository: str
    revision: str
    path: str


def image(text: str) -> Image | None:
    """Gives what `registry/repository:tag@digest/path` names; None when it is no such reference."""
    match = _IMAGE.fullmatch(text)
    if match is None or not (match["tag"] or match["digest"]):
        return None
    path = plain_path(match["path"] or "")
    if path is None or len(match["repository"]) > _LONGEST_REPOSITORY:
        return None
    return Image(match["registry"], match["repository"], match["tag"], match["digest"], path)


def hub_repository(text: str) -> HubRepository | None:
    """Gives what `org/repo@revision/path` names; None when it is no such reference."""
    match = _HUB.fullmatch(text)
    if match is None:
        return None
    path = plain_path(match["path"] or "")
    revision = plain_path(match["revision"] or "main")
    if path is None or not revision:
        return None
    return HubRepository(match["repository"], revision, path)


def plain_path(text: str) -> str | None:
    """Gives a percent-encoded relative path decoded, without slashes around it; None when it leads anywhere else."""
    path = urllib.parse.unquote(text).strip("/")
    parts = path.split("/") if path else []
    if any(part in ("", ".", "..") for part in parts) or not path.isprintable():
        return None
    return path
