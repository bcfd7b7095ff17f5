"""The administrator's pickle rule, and what it means for one artifact.

`loading` makes the rule of a setting, the adapters that unpickle ask `must_check` before they open a file. Pure.
"""

import enum

from modelyard_runtime import errors


class Rule(enum.Enum):
    """Which pickles may be loaded."""

    RESTRICTED = "Restricted"  # what passes the list, and whatever is pinned by digest
    PINNED = "Pinned"  # what is pinned by digest
    NEVER = "Never"
    ANY = "Any"


def must_check(rule: Rule, is_pinned: bool, name: str) -> bool:
    """Says whether the pickle `name` loads only if it passes the list; raises `StartFailure` (PickleRefused)."""
    if rule is Rule.NEVER:
        raise refused(
            f"the artifact {name!r} is a pickle, and the pickle rule Never forbids those; save the model in another "
            "format, skops or ONNX (docs/formats.md)"
        )
    if rule is Rule.PINNED and not is_pinned:
        raise refused(
            f"the artifact {name!r} is a pickle, and the pickle rule Pinned wants its digest in spec.model.digest; "
            "`modelyard digest` prints it; or save the model in another format, skops or ONNX (docs/formats.md)"
        )
    return rule is Rule.RESTRICTED and not is_pinned


def refused(message: str) -> errors.StartFailure:
    """Gives the failure of a pickle that the rule keeps out."""
    return errors.StartFailure(errors.Reason.PICKLE_REFUSED, message)
