"""The one failure this package tells people about: what is wrong and what to do.

Raised everywhere in devcluster; turned into an exit code only by `__main__`. It must never carry a secret.
"""

from pathlib import Path

# A component's usage text or stack trace has lines that no terminal shows well.
_WIDEST = 240


class DevclusterError(Exception):
    """Something cannot work; the message says what, where and the command that fixes it."""


class BusyError(DevclusterError):
    """Another run does the same at this moment; it can be waited for."""


def with_log_tail(message: str, log: Path, lines: int = 15) -> DevclusterError:
    """Give the error with the last `lines` of a component's log below the message."""
    try:
        tail = log.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        tail = []
    if not tail:
        return DevclusterError(f"{message} Its log {log} is empty.")
    return DevclusterError(
        "\n".join([f"{message} The end of {log}:", *(f"    {line[:_WIDEST]}" for line in tail)])
    )
