"""How one variable of the environment is read: what it may hold, and the failure that names it when it doesn't.

Used by `settings` and `fetchsettings`. Pure: a mapping goes in, a value or a `StartFailure` (SettingsInvalid)
comes out.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from modelyard_runtime import errors

# Every format there is an adapter for; which of them an image serves depends on the libraries in it (formats.catalog).
FORMATS = (
    "sklearn", "skops", "onnx", "xgboost", "lightgbm", "catboost", "torch", "keras", "mlflow", "custom",
)  # fmt: skip
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
LOG_LEVELS = ("debug", "info", "warning", "error")


def invalid(variable: str, problem: str) -> errors.StartFailure:
    """Gives the failure of a variable that holds what it must not."""
    return errors.StartFailure(errors.Reason.SETTINGS_INVALID, f"{variable}: {problem}")


def required(environment: Mapping[str, str], variable: str, meaning: str) -> str:
    """Gives the text of a variable that must be set."""
    value = environment.get(variable, "")
    if not value:
        raise invalid(variable, f"is not set; it must hold {meaning}")
    return value


def integer(environment: Mapping[str, str], variable: str, default: int, minimum: int = 1) -> int:
    """Gives a whole number of at least `minimum`."""
    text = environment.get(variable) or str(default)
    # isascii first: isdigit alone takes digits of every script, and superscripts that int() refuses.
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < minimum:
        raise invalid(variable, f"{text[:40]!r} is not a whole number of at least {minimum}")
    return int(text)


def share(environment: Mapping[str, str], variable: str) -> float:
    """Gives a number from 0 to 1; 0 when the variable is not set."""
    text = environment.get(variable) or "0"
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise invalid(
            variable, f"{text[:40]!r} is not a share; use a number from 0 (nothing) to 1 (everything)"
        )
    return share


def artifact_dir(environment: Mapping[str, str]) -> Path:
    """Gives the folder that the containers of a pod share."""
    return directory(environment, "MODELYARD_ARTIFACT_DIR") or Path("/mnt/artifact")


def directory(environment: Mapping[str, str], variable: str) -> Path | None:
    """Gives the absolute path that a variable holds; None when it is not set."""
    text = environment.get(variable)
    if not text:
        return None
    if not Path(text).is_absolute():
        raise invalid(variable, f"{text!r} is not an absolute path")
    return Path(text)


def digest(environment: Mapping[str, str], variable: str) -> str | None:
    """Gives the digest that a variable holds; None when it is not set."""
    text = environment.get(variable) or None
    if text is not None and not _DIGEST.fullmatch(text):
        raise invalid(
            variable, f"{text!r} is not a digest; write 'sha256:' and 64 lower-case hexadecimal digits"
        )
    return text


def choice(environment: Mapping[str, str], variable: str, choices: tuple[str, ...]) -> str:
    """Gives one of the choices; the first when the variable is not set."""
    value = environment.get(variable) or choices[0]
    if value not in choices:
        raise invalid(variable, f"{value!r} is not a choice; use one of: {', '.join(choices)}")
    return value


def model_format(environment: Mapping[str, str]) -> str | None:
    """Gives the format the author asked for; None when it is to be found out."""
    name = environment.get("MODELYARD_MODEL_FORMAT") or None
    if name is not None and name not in FORMATS:
        known = ", ".join(FORMATS)
        raise invalid(
            "MODELYARD_MODEL_FORMAT", f"{name!r} is not a format this runtime serves; use one of: {known}"
        )
    return name


def log_level(environment: Mapping[str, str]) -> str:
    """Gives the log level."""
    level = environment.get("MODELYARD_LOG_LEVEL") or "info"
    if level.lower() not in LOG_LEVELS:
        raise invalid("MODELYARD_LOG_LEVEL", f"{level!r} is not a level; use one of: {', '.join(LOG_LEVELS)}")
    return level.lower()
