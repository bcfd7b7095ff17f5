"""The lock of a revision: which bytes may be served when none are pinned.

The first pod of a revision to load its model fixes them, and the operator has later containers read their digest
(MODELYARD_LOCKED_DIGEST). `fetch` asks before anything of the artifact is parsed, `loading` before it is loaded: a
server that is started again finds the artifact that was fetched before there was a lock. Pure.
"""

from modelyard_runtime import errors


def check(locked: str | None, actual: str, shown: str) -> None:
    """Raises `StartFailure` (DigestChanged) for other bytes; `shown` is the URI without secrets."""
    if locked is not None and locked != actual:
        raise errors.StartFailure(
            errors.Reason.DIGEST_CHANGED,
            f"{shown} has now the digest {actual}, but the pods of this revision were started with {locked}; "
            f"publish the new model under another URI, or pin it with spec.model.digest: {actual}",
        )
