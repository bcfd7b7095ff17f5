"""What a person names on the command line: a path of this machine or a URI, and what opens it.

Used by `__main__`. Pure, but for the question whether a path exists.
"""

import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.artifact import addresses, egress, identity, source
from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import local

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# Places that only a pod reaches, with what to name instead.
_IN_PODS_ONLY = ("pvc", "oci+volume")


def parse(text: str) -> uris.Location:
    """Gives the location of a path or URI; raises `StartFailure` (ArtifactNotFound, UriUnsupported)."""
    path = Path(text)
    if not path.exists() and _SCHEME.match(text):
        location = uris.parse(text)
        if location.scheme in _IN_PODS_ONLY:
            raise errors.StartFailure(
                errors.Reason.URI_UNSUPPORTED,
                f"{location.shown} is mounted in pods only; name the file or folder itself, where you have it",
            )
        return location
    if not path.exists():
        raise errors.StartFailure(errors.Reason.ARTIFACT_NOT_FOUND, f"{text!r} does not exist")
    return uris.parse("file://" + urllib.parse.quote(str(path.resolve())))


def credentials(environment: Mapping[str, str]) -> secrets.Credentials:
    """Gives the credentials in the environment: variables called like the keys of the credentials Secret."""
    return secrets.Credentials({key: environment[key] for key in secrets.KEYS if environment.get(key)})


def surroundings(given: secrets.Credentials, environment: Mapping[str, str]) -> source.Surroundings:
    """Gives what sources need: on a person's own machine every path and address is theirs to name."""
    everywhere = egress.Policy(
        allowed=addresses.parse_allowed("0.0.0.0/0,::/0"),
        identity=identity.read(environment, is_granted=False),
    )
    roots = (Path("/"), *local.closed_folders(environment))
    return source.Surroundings(given, environment, egress=egress.Egress(everywhere), file_roots=roots)
