"""`modelyard digest PATH|URI`: prints the digest that `spec.model.digest` pins.

Also `kubectl modelyard`, by the name of its second script. The only place here that reads the environment, writes to
standard output and ends the process. What fails is said in one sentence, with the runtime's own exit code for it.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from modelyard_cli import digesting, places, progress
from modelyard_runtime import errors
from modelyard_runtime.artifact import credentials as secrets

_INTERRUPTED = 130  # as shells count: 128 and the number of SIGINT


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs the command and ends the process with the code of its outcome."""
    sys.exit(run(sys.argv[1:] if argv is None else argv, os.environ))


def run(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs the command and gives its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        credentials = (
            secrets.read(arguments.credentials_dir, str(arguments.credentials_dir))
            if arguments.credentials_dir
            else places.credentials(environment)
        )
        location = places.parse(arguments.artifact)
        shown = progress.Progress(sys.stderr, is_terminal=sys.stderr.isatty())
        print(digesting.of_artifact(location, places.surroundings(credentials, environment), shown))
        shown.clear()
    except errors.StartFailure as failure:
        print(f"modelyard: {failure.reason.value}: {failure.message}{_hint(failure)}", file=sys.stderr)
        return failure.reason.exit_code
    except KeyboardInterrupt:
        print("modelyard: stopped", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelyard", description="Tools for models that Modelyard serves.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    digest = commands.add_parser(
        "digest",
        help="print the digest of an artifact, to be pinned in spec.model.digest",
        description="Prints sha256:<hex> of a file, of a folder, or of whatever a model URI names: the digest that"
        " spec.model.digest pins. An archive's digest is that of the archive file. Nothing is kept on disk.",
    )
    digest.add_argument(
        "artifact", metavar="PATH|URI", help="a file, a folder, or a URI as in spec.model.uri"
    )
    digest.add_argument(
        "--credentials-dir",
        type=Path,
        metavar="DIR",
        help="a folder with a file for each key of the credentials Secret; without it, environment variables of the"
        " same names count (AWS_ACCESS_KEY_ID, HTTP_BEARER_TOKEN, …)",
    )
    return parser


def _hint(failure: errors.StartFailure) -> str:
    """Gives what else to do here, where there is no Secret."""
    if failure.reason is errors.Reason.ACCESS_DENIED:
        return " (for this command: set them in the environment, or as files in --credentials-dir)"
    return ""


if __name__ == "__main__":
    main()
