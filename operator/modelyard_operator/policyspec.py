"""What the administrator rules (MODELYARD_POLICY) and how artifacts are fetched (MODELYARD_FETCH): types, and reading.

Part of `config`, apart because the rules are a subject of their own; `policy` applies them. Both come as JSON from the
chart's values of the same names. Pure.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeVar

import msgspec

from modelyard_operator import errors, spec, uri_patterns

Pickle = Literal["Restricted", "Pinned", "Never", "Any"]
Where = bool | tuple[str, ...]  # everywhere, nowhere, or in the namespaces of these patterns
Fingerprint = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]  # sha256 of the key as PEM
_T = TypeVar("_T", "Policy", "Fetch")


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The rules; by default nothing is forbidden but pickles that name something dangerous.

    Attributes:
        pickle: which pickles may be loaded.
        require_digest: where an artifact has to be pinned.
        require_signature: where it has to be signed.
        allowed_uris: namespace pattern -> patterns of URIs; empty: any. Once there is one, what isn't listed is
            refused, and a namespace may use what is listed for every pattern that covers it.
        allowed_formats: the same for formats.
        allowed_signature_keys: the same for public keys, by their fingerprints; only the pod can see a key.
        allowed_images: patterns of runtime images; empty: any.
        credentials_prefix: how the names of all Secrets begin that authors may name.
        allowed_addresses: networks that `fetch` may reach beside the public ones.
        max_replicas: most pods of one model; 0: as many as the resource allows.
    """

    pickle: Pickle = "Restricted"
    require_digest: Where = False
    require_signature: Where = False
    allowed_uris: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict, name="allowedURIs")
    allowed_formats: Mapping[str, tuple[spec.Format, ...]] = {}
    allowed_signature_keys: Mapping[str, tuple[Fingerprint, ...]] = {}
    allowed_images: tuple[str, ...] = ()
    credentials_prefix: Annotated[str, msgspec.Meta(pattern="^[a-z0-9.-]*$")] = ""
    allowed_addresses: tuple[str, ...] = ()
    max_replicas: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0


class Fetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """How artifacts are fetched.

    Attributes:
        ca_bundle: PEM certificates that are trusted beside the public ones.
        https_proxy: URL of the proxy; empty: none.
        no_proxy: hosts that are asked without it, separated by commas.
        file_roots: folders of the runtime image that file: may name; empty: none.
    """

    ca_bundle: Annotated[str, msgspec.Meta(max_length=65536)] = ""
    https_proxy: Annotated[str, msgspec.Meta(pattern="^(https?://[^@/]+/?)?$")] = ""
    no_proxy: str = ""
    file_roots: tuple[Annotated[str, msgspec.Meta(pattern="^/[^,]*$")], ...] = ("/models",)


def applies(where: Where, namespace: str) -> bool:
    """Says whether a rule holds in a namespace."""
    if isinstance(where, bool):
        return where
    return any(uri_patterns.covers(pattern, namespace) for pattern in where)


def listed(of: Mapping[str, tuple[str, ...]], namespace: str) -> tuple[str, ...]:
    """Give what is listed for a namespace, under every pattern that covers it."""
    return tuple(
        each for pattern in sorted(of) if uri_patterns.covers(pattern, namespace) for each in of[pattern]
    )


def read_policy(env: Mapping[str, str]) -> Policy:
    """Give the rules.

    Raises:
        errors.ConfigInvalid: naming the rule and what to write instead.
    """
    policy = _decode(env, "MODELYARD_POLICY", Policy)
    for wrong in _wrong(policy):
        raise errors.ConfigInvalid(f"MODELYARD_POLICY: {wrong}")
    return policy


def read_fetch(env: Mapping[str, str]) -> Fetch:
    """Give how artifacts are fetched.

    Raises:
        errors.ConfigInvalid: naming the setting.
    """
    return _decode(env, "MODELYARD_FETCH", Fetch)


def _decode(env: Mapping[str, str], variable: str, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(env.get(variable, "{}"), type=kind)
    except msgspec.DecodeError as error:
        raise errors.ConfigInvalid(f"{variable}: {error}.") from error


def _wrong(policy: Policy) -> Iterator[str]:
    """Give, in words, every pattern and network that isn't one."""
    by_namespace: tuple[tuple[str, Mapping[str, object]], ...] = (
        ("allowedURIs", policy.allowed_uris),
        ("allowedFormats", policy.allowed_formats),
        ("allowedSignatureKeys", policy.allowed_signature_keys),
    )
    namespaces = [(name, each) for name, patterns in by_namespace for each in patterns]
    for name, where in (
        ("requireDigest", policy.require_digest),
        ("requireSignature", policy.require_signature),
    ):
        namespaces += [] if isinstance(where, bool) else [(name, each) for each in where]
    for name, each in namespaces:
        if not re.fullmatch(uri_patterns.NAMESPACE, each):
            yield f"{name}: {each!r} is no pattern of namespaces; write a name, with * for any characters."
    for each in (each for patterns in policy.allowed_uris.values() for each in patterns):
        if not re.fullmatch(uri_patterns.URI, each):
            yield (
                f"allowedURIs: {each!r} is no pattern of URIs; write a scheme, a host or bucket and a path, with * for"
                " any characters but / and a / at the end for all that is below: s3://models/, https://*.example.com/"
            )
    for each in policy.allowed_images:
        if not re.fullmatch(uri_patterns.IMAGE, each):
            yield f"allowedImages: {each!r} is no pattern of images; for example registry.example/modelyard/"
    for each in policy.allowed_addresses:
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            yield f"allowedAddresses: {error}; write a network such as 10.20.0.0/16"
