"""Whether a signature is asked for, and bringing it: from the folder itself, or from where it lies.

Called by `artifact.fetch`. The library that verifies is imported only where a signature is asked for: it takes a tenth
of a second.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard_runtime import errors, fetchsettings
from modelyard_runtime.artifact import download, retrying, source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import opening

if TYPE_CHECKING:
    from modelyard_runtime.artifact import signature


def check(
    options: fetchsettings.FetchSettings,
    surroundings: source.Surroundings,
    staged: Path,
    digest: str | None,
    sleep: retrying.Sleep,
) -> "signature.Kept | None":
    """Verifies the signature that is asked for; gives what it leaves of a folder, None when that is all of it.

    `digest` is of a single file, where it is known. Raises `StartFailure`.
    """
    if (asked := options.signature) is None:
        return None
    from modelyard_runtime.artifact import signature, signature_bundle  # noqa: PLC0415

    def read() -> bytes:
        location = uris.parse(signature.uri_of(asked, options.uri))
        target = staged.with_name(f"{staged.name}.signature")
        try:
            origin = opening.open_source(location, surroundings)
            listing = download.fetch_file(origin, target, signature.MAX_BYTES, location.shown, sleep)
        except errors.StartFailure as failure:
            if failure.reason is not errors.Reason.ARTIFACT_NOT_FOUND:
                raise
            raise signature_bundle.failure(
                f"there is no signature at {location.shown}; sign the artifact with `model_signing sign key` and put"
                " the signature there, or name it in spec.model.signature.uri"
            ) from None
        if listing.is_folder or listing.packed:
            raise signature_bundle.failure(f"{location.shown} is a folder; name the file with the signature")
        content = target.read_bytes()
        target.unlink()
        return content

    return signature.check(asked, options.rules, staged, digest, read)
