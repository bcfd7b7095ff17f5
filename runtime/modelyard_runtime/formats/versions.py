"""What another version of a library means for a model: a note in its metadata, or a refusal to serve it.

Called by the adapters whose artifacts record who wrote them. Pure.
"""

from collections.abc import Iterable

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models


def notes(library: str, written: Iterable[str], served: str, options: models.LoadOptions) -> tuple[str, ...]:
    """Gives one sentence per version in `written` that is not `served`.

    Raises `StartFailure` (VersionMismatch) where the policy is to refuse.
    """
    found = tuple(
        f"the model was saved with {library} {version} and is served with {served}: "
        "predictions may differ; save it again with the served version"
        for version in sorted(set(written) - {served})
    )
    if found and options.refuses_other_versions:
        raise errors.StartFailure(
            errors.Reason.VERSION_MISMATCH,
            f"{found[0]}, choose a runtime class with the other version, or set spec.runtime.versionPolicy to Warn",
        )
    return found


def is_newer(written: str, served: str) -> bool:
    """Says whether a version is newer than another, as far as their leading numbers say."""
    return _numbers(written) > _numbers(served)


def _numbers(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        numbers.append(int(part))
    return tuple(numbers)
