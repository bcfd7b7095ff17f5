"""The certificate that the port is served with, renewed without a restart.

`server` makes the context and looks for a renewal now and then. New connections get the new certificate; those that are
open stay. A change of `ca.crt` counts from the next start on: an open context forgets no authority.
"""

import logging
import ssl
from pathlib import Path

from modelyard_runtime import errors, secretfiles

_log = logging.getLogger(__name__)


class Certificate:
    """The key pair in a folder, and the context that serves it."""

    def __init__(self, folder: Path, client_certificates: bool) -> None:
        self._folder = folder
        self._client_certificates = client_certificates
        self._seen: object = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])

    def load(self) -> None:
        """Reads the files; raises `StartFailure` (SettingsInvalid) when they can't be served with."""
        try:
            self._read()
            if self._client_certificates:
                self.context.load_verify_locations(self._folder / "ca.crt")
                # Asked for and not required: the kubelet's probes have none. `http.gate` refuses everybody else.
                self.context.verify_mode = ssl.CERT_OPTIONAL
        except (OSError, ssl.SSLError) as error:
            names = "tls.crt, tls.key and ca.crt" if self._client_certificates else "tls.crt and tls.key"
            raise errors.StartFailure(
                errors.Reason.SETTINGS_INVALID,
                f"spec.access.tls: {_words(error)}; the Secret needs {names}, in PEM and belonging together",
            ) from None

    def renew(self) -> bool:
        """Takes a renewed key pair and says whether there was one; one that can't be read is left until it can."""
        try:
            if secretfiles.fingerprint(self._folder) == self._seen:
                return False
            self._read()
        except (OSError, ssl.SSLError) as error:
            _log.warning("renewed certificate refused", extra={"fields": {"problem": _words(error)}})
            return False
        _log.info("certificate renewed")
        return True

    def _read(self) -> None:
        seen = secretfiles.fingerprint(self._folder)
        # On a context of its own first: half a renewal must not reach the one that serves.
        for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
            context.load_cert_chain(self._folder / "tls.crt", self._folder / "tls.key")
        self._seen = seen


def _words(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "the certificate's files are not there, the Secret is missing or lacks a key"
    return error.strerror or getattr(error, "reason", "") or type(error).__name__
