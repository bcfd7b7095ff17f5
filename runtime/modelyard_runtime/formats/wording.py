"""What adapters say about foreign errors and foreign files: one short line, without paths, in the same words for all.

Called by the adapters in `formats`. Pure, but for the first bytes of a file it describes.
"""

import re
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.formats import catalog, detection

_LIMIT = 300


def one_line(error: BaseException) -> str:
    """Gives an exception's text as one short line without file system paths."""
    text = " ".join(str(error).split())
    text = re.sub(r"(?<![\w.])/[\w./+-]{2,}", "…", text)
    return text if len(text) <= _LIMIT else text[:_LIMIT] + "…"


def a(noun: str) -> str:
    """Gives a noun with its article."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def invalid_input(error: BaseException) -> errors.InvalidInput:
    """Gives the refusal of an input that a model's own library refuses."""
    return errors.InvalidInput(f"the model can't take this input: {one_line(error)}")


def model_failed(error: BaseException) -> errors.ModelFailed:
    """Gives the failure of a model that raised what is no word about its input."""
    return errors.ModelFailed(f"the model failed to predict: {type(error).__name__}: {one_line(error)}")


def load_failed(message: str) -> errors.StartFailure:
    """Gives the failure of an artifact that is no model."""
    return errors.StartFailure(errors.Reason.LOAD_FAILED, message)


def unreadable(file: Path, model_format: str, error: BaseException) -> errors.StartFailure:
    """Gives the failure of a file that the library of its format can't read: it is another kind of file, or damaged."""
    title = catalog.FORMATS[model_format].title
    head = detection.read_head(file)
    if detection.infer_format(head, detection.read_members(file)) == model_format:
        return load_failed(
            f"the artifact {file.name!r} starts like {title} but can't be read to its end "
            f"({type(error).__name__}: {one_line(error)}); it is damaged or was cut off: publish it again"
        )
    return load_failed(
        f"the artifact {file.name!r} is {detection.describe_file(file)}, not {title}; "
        "docs/formats.md says how to save one"
    )
