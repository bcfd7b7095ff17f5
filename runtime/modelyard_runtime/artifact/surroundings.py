"""What the settings of `fetch` become for its sources: the credentials, the door out, the roots of `file:`.

Called by `artifact.fetch` before any source is built. It connects to nothing.
"""

from collections.abc import Mapping

from modelyard_runtime import fetchsettings
from modelyard_runtime.artifact import addresses, egress, identity, source, upstream
from modelyard_runtime.artifact import credentials as secrets


def build(options: fetchsettings.FetchSettings, ambient: Mapping[str, str]) -> source.Surroundings:
    """Gives the surroundings; raises `StartFailure` (SettingsInvalid, SecretMissing) naming what is wrong."""
    credentials = secrets.read(options.credentials_dir, options.credentials_secret)
    asked = options.egress
    policy = egress.Policy(
        allowed=addresses.parse_allowed(asked.allowed_addresses),
        proxy=upstream.parse(asked.https_proxy, asked.no_proxy),
        identity=identity.read(ambient, asked.pod_identity),
        ca_pem="\n".join(filter(None, (asked.ca_bundle, credentials.get("ca.crt")))),
    )
    return source.Surroundings(
        credentials,
        ambient,
        options.mount_dir,
        egress.Egress(policy),
        options.file_roots,
        options.rules.allowed_uris,
    )
