"""The settings of `fetch`: where the artifact is, which bytes are right, and what the administrator allows on the way.

`__main__` calls `read` with the process environment. Pure: a mapping goes in, a value or a `StartFailure` that names
the variable and the remedy comes out. Credentials are no settings: they come as files (`artifact.credentials`).
`docs/reference/runtime-settings.md` lists the variables for people.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from modelyard_runtime import variables

DEFAULT_MAX_ARTIFACT_BYTES = 10 * 1024**3
DEFAULT_FILE_ROOTS = (Path("/models"),)  # where an image of one's own keeps models
DEFAULT_MOUNT_DIR = Path("/mnt")


@dataclasses.dataclass(frozen=True, slots=True)
class EgressSettings:
    """What the administrator says about connections; `artifact.surroundings` gives the texts their meaning."""

    allowed_addresses: str = ""
    https_proxy: str = dataclasses.field(default="", repr=False)
    no_proxy: str = ""
    ca_bundle: str = dataclasses.field(default="", repr=False)
    pod_identity: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What the administrator rules for this namespace; empty: anything. `artifact.policy` asks it."""

    allowed_uris: tuple[str, ...] = ()
    allowed_formats: tuple[str, ...] = ()
    requires_digest: bool = False
    requires_signature: bool = False
    allowed_signature_keys: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class CacheSettings:
    """Where the node keeps artifacts for later pods, how much of them, and for whom (the namespace)."""

    directory: Path
    max_bytes: int
    scope: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SignatureSettings:
    """Whose signature the artifact must have: the folder and file of the public key, and where the signature is."""

    key_dir: Path
    key: str = "key.pub"
    uri: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class FetchSettings:
    """What `fetch` is asked to do.

    `digest` is what the author pins, `locked_digest` what this revision's first pod has loaded.
    """

    uri: str
    artifact_dir: Path
    digest: str | None = None
    locked_digest: str | None = None
    model_format: str | None = None
    max_artifact_bytes: int = DEFAULT_MAX_ARTIFACT_BYTES
    samples_uri: str | None = None
    credentials_dir: Path | None = None
    credentials_secret: str = ""
    signature: SignatureSettings | None = None
    cache: CacheSettings | None = None
    egress: EgressSettings = dataclasses.field(default_factory=EgressSettings)
    file_roots: tuple[Path, ...] = DEFAULT_FILE_ROOTS
    mount_dir: Path = DEFAULT_MOUNT_DIR
    rules: Rules = Rules()


def _cache(environment: Mapping[str, str]) -> CacheSettings | None:
    directory = variables.directory(environment, "MODELYARD_CACHE_DIR")
    if directory is None:
        return None
    scope = environment.get("MODELYARD_CACHE_SCOPE", "")
    if "/" in scope:
        raise variables.invalid(
            "MODELYARD_CACHE_SCOPE", f"{scope[:40]!r} holds a slash; it must be a namespace's name"
        )
    max_bytes = variables.integer(environment, "MODELYARD_CACHE_BYTES", DEFAULT_MAX_ARTIFACT_BYTES)
    return CacheSettings(directory, max_bytes, scope)


def _signature(environment: Mapping[str, str]) -> SignatureSettings | None:
    key_dir = variables.directory(environment, "MODELYARD_SIGNATURE_KEY_DIR")
    if key_dir is None:
        return None
    return SignatureSettings(
        key_dir=key_dir,
        key=environment.get("MODELYARD_SIGNATURE_KEY") or "key.pub",
        uri=environment.get("MODELYARD_SIGNATURE_URI") or None,
    )


def read(environment: Mapping[str, str]) -> FetchSettings:
    """Gives the settings of `fetch`; raises `StartFailure` (SettingsInvalid) naming the variable."""
    variables.log_level(environment)
    return FetchSettings(
        uri=variables.required(environment, "MODELYARD_MODEL_URI", "the artifact's URI (spec.model.uri)"),
        artifact_dir=variables.artifact_dir(environment),
        digest=variables.digest(environment, "MODELYARD_MODEL_DIGEST"),
        locked_digest=variables.digest(environment, "MODELYARD_LOCKED_DIGEST"),
        model_format=variables.model_format(environment),
        max_artifact_bytes=variables.integer(
            environment, "MODELYARD_MAX_ARTIFACT_BYTES", DEFAULT_MAX_ARTIFACT_BYTES
        ),
        samples_uri=environment.get("MODELYARD_SAMPLES_URI") or None,
        credentials_dir=variables.directory(environment, "MODELYARD_CREDENTIALS_DIR"),
        credentials_secret=environment.get("MODELYARD_CREDENTIALS_SECRET", ""),
        signature=_signature(environment),
        cache=_cache(environment),
        egress=_egress(environment),
        file_roots=_file_roots(environment),
        mount_dir=variables.directory(environment, "MODELYARD_MOUNT_DIR") or DEFAULT_MOUNT_DIR,
        rules=_rules(environment),
    )


def _rules(environment: Mapping[str, str]) -> Rules:
    return Rules(
        allowed_uris=tuple(environment.get("MODELYARD_ALLOWED_URIS", "").split()),
        allowed_formats=_listed(environment, "MODELYARD_ALLOWED_FORMATS"),
        requires_digest=variables.choice(environment, "MODELYARD_REQUIRE_DIGEST", ("false", "true"))
        == "true",
        requires_signature=variables.choice(environment, "MODELYARD_REQUIRE_SIGNATURE", ("false", "true"))
        == "true",
        allowed_signature_keys=_listed(environment, "MODELYARD_ALLOWED_SIGNATURE_KEYS"),
    )


def _listed(environment: Mapping[str, str], variable: str) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip() for each in environment.get(variable, "").split(","))))


def _egress(environment: Mapping[str, str]) -> EgressSettings:
    pod_identity = environment.get("MODELYARD_POD_IDENTITY", "")
    if pod_identity not in ("", "true", "false"):
        raise variables.invalid("MODELYARD_POD_IDENTITY", f"{pod_identity[:40]!r} is neither true nor false")
    return EgressSettings(
        allowed_addresses=environment.get("MODELYARD_ALLOWED_ADDRESSES", ""),
        https_proxy=environment.get("MODELYARD_HTTPS_PROXY", ""),
        no_proxy=environment.get("MODELYARD_NO_PROXY", ""),
        ca_bundle=environment.get("MODELYARD_CA_BUNDLE", ""),
        pod_identity=pod_identity == "true",
    )


def _file_roots(environment: Mapping[str, str]) -> tuple[Path, ...]:
    text = environment.get("MODELYARD_FILE_ROOTS")
    if text is None:
        return DEFAULT_FILE_ROOTS
    roots = tuple(Path(part.strip()) for part in text.split(",") if part.strip())
    for root in roots:
        if not root.is_absolute():
            raise variables.invalid("MODELYARD_FILE_ROOTS", f"{str(root)!r} is not an absolute path")
    return roots
