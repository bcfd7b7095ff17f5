"""What an MLflow tracking server answers, as far as it is read: the JSON of its REST API as types.

Used by `sources.mlflow_registry` and `sources.mlflow_server`. What has another shape is no answer of a tracking server,
whoever sent it. Pure.
"""

from collections.abc import Mapping
from typing import Annotated, Protocol, TypeVar

import msgspec

Answer = TypeVar("Answer", bound=msgspec.Struct)


class Ask(Protocol):
    """How a server is asked."""

    def __call__(self, path: str, parameters: Mapping[str, str], kind: type[Answer]) -> Answer | None:
        """Gives the answer of a path below the API, None where the server knows no such thing."""
        ...


class Alias(msgspec.Struct):
    """Another name of a version."""

    alias: str
    version: str | int


class Version(msgspec.Struct):
    """One version of a registered model."""

    version: str | int
    status: str = "READY"
    source: str = ""


class RegisteredModel(msgspec.Struct):
    """A registered model."""

    name: str
    aliases: list[Alias] = []


class ModelAnswer(msgspec.Struct):
    """registered-models/get."""

    registered_model: RegisteredModel


class ModelsAnswer(msgspec.Struct):
    """registered-models/search."""

    registered_models: list[RegisteredModel] = []


class VersionAnswer(msgspec.Struct):
    """model-versions/get."""

    model_version: Version


class VersionsAnswer(msgspec.Struct):
    """model-versions/search."""

    model_versions: list[Version] = []


class DownloadAnswer(msgspec.Struct):
    """model-versions/get-download-uri."""

    artifact_uri: str = ""


class RunInfo(msgspec.Struct):
    """A run's own facts."""

    artifact_uri: str
    lifecycle_stage: str = "active"


class ModelOutput(msgspec.Struct):
    """A model that a run has logged."""

    model_id: str


class RunOutputs(msgspec.Struct):
    """What a run has logged beside its artifacts."""

    model_outputs: list[ModelOutput] = []


class Run(msgspec.Struct):
    """A run."""

    info: RunInfo
    outputs: RunOutputs = msgspec.field(default_factory=RunOutputs)


class RunAnswer(msgspec.Struct):
    """runs/get."""

    run: Run


class LoggedModelInfo(msgspec.Struct):
    """A logged model's own facts."""

    name: str
    artifact_uri: str


class LoggedModel(msgspec.Struct):
    """A logged model."""

    info: LoggedModelInfo


class LoggedModelAnswer(msgspec.Struct):
    """logged-models/<id>."""

    model: LoggedModel


class Entry(msgspec.Struct):
    """A file or a folder among the artifacts."""

    path: str
    is_dir: bool = False
    file_size: Annotated[int, msgspec.Meta(ge=0)] = 0


class EntriesAnswer(msgspec.Struct):
    """mlflow-artifacts/artifacts."""

    files: list[Entry] = []


class Failure(msgspec.Struct):
    """What comes with every status of failure."""

    error_code: str
