"""The two ways a pickle can fail its check, as values that know no file.

Raised by the modules beside this one; `loader` turns them into a `StartFailure` with the file's name. Pure.
"""

_LONGEST = 120  # of a name that the file chose


class Refused(Exception):  # noqa: N818 - named for what it means
    """The pickle names, calls or needs what the rule doesn't allow; the text completes "… is refused: "."""


class Damaged(Exception):  # noqa: N818 - named for what it means
    """The bytes are no whole pickle; the text says how they end."""


def shown(text: str) -> str:
    """Gives a name out of a file for a message: escapes for what isn't ASCII, so that look-alikes show, and short."""
    escaped = ascii(text)[1:-1]
    return escaped if len(escaped) <= _LONGEST else escaped[:_LONGEST] + "…"
