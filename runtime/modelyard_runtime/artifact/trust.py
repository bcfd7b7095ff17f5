"""Which certificate authorities `fetch` trusts: the system's, and those of the administrator and of the credentials.

Called by `artifact.egress`, and through it by every source, whatever library talks for it. It adds to the system's
authorities and never turns a check off.
"""

import os
import ssl
from pathlib import Path

from modelyard_runtime import errors

_BEGIN = "-----BEGIN CERTIFICATE-----"


def context(extra_pem: str = "") -> ssl.SSLContext:
    """Gives what verifies servers; raises `StartFailure` (SettingsInvalid) when `extra_pem` holds no certificate."""
    verifying = ssl.create_default_context()
    if not extra_pem:
        return verifying
    try:
        verifying.load_verify_locations(cadata=extra_pem)
    except (ssl.SSLError, ValueError):
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID,
            "the CA bundle (MODELYARD_CA_BUNDLE, or ca.crt in the credentials Secret) holds no certificate that can be "
            f"read; it must be text with {_BEGIN}",
        ) from None
    return verifying


def bundle_file(extra_pem: str) -> str:
    """Gives the path of a file in memory with the system's authorities and the extra ones, for libraries.

    It lasts as long as the process and costs no place on a disk that may be read-only.
    """
    descriptor = os.memfd_create("authorities")
    os.write(descriptor, _bundle(extra_pem).encode())
    return f"/proc/self/fd/{descriptor}"


def _bundle(extra_pem: str) -> str:
    paths = ssl.get_default_verify_paths()
    system = ""
    if paths.cafile:
        system = Path(paths.cafile).read_text()
    elif paths.capath:
        found = sorted(Path(paths.capath).glob("*.pem")) or sorted(Path(paths.capath).glob("*.crt"))
        system = "\n".join(path.read_text() for path in found)
    return f"{system}\n{extra_pem}\n"
