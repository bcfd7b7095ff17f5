"""What a page of a list and a line of a watch say, decoded no further than needed: the objects themselves stay bytes.

`watching` reads them, `store` keeps them. Decoding whole objects would cost most of the operator's time, and nearly all
of them are never looked at. Pure.
"""

import msgspec

from modelyard_operator import naming

GONE = 410  # the version that a watch or a list was to go on from is no longer known


class Labels(msgspec.Struct, frozen=True, gc=False):
    """The labels by which objects are found."""

    name: str = msgspec.field(default="", name=naming.LABEL_NAME)
    instance: str = msgspec.field(default="", name=naming.LABEL_INSTANCE)


class Owner(msgspec.Struct, frozen=True, gc=False):
    """One owner reference."""

    kind: str
    name: str
    controller: bool = False


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """The metadata that places an object."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    labels: Labels | None = None
    owner_references: tuple[Owner, ...] | None = None
    deletion_timestamp: str = ""

    @property
    def version(self) -> int:
        """The resourceVersion as the number it is."""
        return int(self.resource_version)

    @property
    def key(self) -> tuple[str, str] | None:
        """Namespace and name of the ModelDeployment that a child belongs to, as `objects.owning_key` has it."""
        for owner in self.owner_references or ():
            if owner.controller and owner.kind == naming.KIND:
                return self.namespace, owner.name
        return (self.namespace, self.labels.instance) if self.labels and self.labels.instance else None


class Event(msgspec.Struct, frozen=True):
    """One line of a watch: ADDED, MODIFIED or DELETED with an object, BOOKMARK with a version, ERROR with a status."""

    type: str
    object: msgspec.Raw


class Status(msgspec.Struct, frozen=True):
    """What an ERROR says."""

    code: int = 0
    message: str = ""


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    """The version of a list, and where to go on."""

    resource_version: str
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct, frozen=True):
    """One page of a list."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None  # null when there are none


class _Versioned(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str


class _Object(msgspec.Struct, frozen=True):
    metadata: Meta


class _Bookmark(msgspec.Struct, frozen=True):
    metadata: _Versioned


_object = msgspec.json.Decoder(_Object)
_event = msgspec.json.Decoder(Event)
_status = msgspec.json.Decoder(Status)
_page = msgspec.json.Decoder(Page)
_bookmark = msgspec.json.Decoder(_Bookmark)


def meta(raw: bytes | msgspec.Raw) -> Meta:
    """Give the metadata of an object.

    Raises:
        ValueError: when it is no object.
    """
    found = _object.decode(raw).metadata
    int(found.resource_version)  # a version that is no number is no version
    return found


def event(line: bytes) -> Event:
    """Give one line of a watch.

    Raises:
        ValueError: when it is none.
    """
    return _event.decode(line)


def status(raw: msgspec.Raw) -> Status:
    """Give what an ERROR says.

    Raises:
        ValueError: when it is no status.
    """
    return _status.decode(raw)


def bookmark(raw: msgspec.Raw) -> int:
    """Give the version of a BOOKMARK.

    Raises:
        ValueError: when it has none.
    """
    return int(_bookmark.decode(raw).metadata.resource_version)


def page(answer: bytes) -> Page:
    """Give one page of a list.

    Raises:
        ValueError: when it is none.
    """
    return _page.decode(answer)
