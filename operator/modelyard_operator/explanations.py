"""Turns messages of the kubelet and of admission into what is wrong and what to do about it.

Their texts are no API and change between versions: what is recognised is told in our words, anything else is passed on
as it is. What differs from one attempt to the next (ports, names of pods that were never made) is left out, so that a
failure which lasts reads the same each time. Called by `failures` and `containers`. Pure.
"""

import re
from collections.abc import Iterable, Mapping

_BACK_OFF = re.compile(
    r'^Back-off pulling image "[^"]*"(: (ErrImagePull|ImagePullBackOff|[A-Za-z]+Pull[A-Za-z]*): )?'
)
_SOCKETS = re.compile(
    r"(read|write) (udp|tcp) \S+->\S+: |dial tcp (\[?[0-9a-f.:]+\]?:\d+|lookup \S+ on \S+): "
)
_FORBIDDEN_POD = re.compile(r'^pods "[^"]*" is forbidden: ')
_QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.*), used: (.*), limited: (.*)")
_NO_SECRET = re.compile(r'secret "([^"]+)" not found')
_NO_KEY = re.compile(r"couldn't find key (\S+) in Secret [^/\s]+/(\S+)")

# In this order: a registry that refuses often says "not found" as well.
_IMAGE_CAUSES: Mapping[str, tuple[str, ...]] = {
    "the registry answers that there were too many requests": ("toomanyrequests", "429", "rate limit"),
    "the registry refuses access": (
        "unauthorized",
        "authorization",
        "denied",
        "401",
        "403",
        "forbidden",
        "no basic auth",
    ),
    "there is no such image": ("not found", "manifest unknown", "name unknown"),
    "the registry can't be reached": (
        "no such host",
        "i/o timeout",
        "connection refused",
        "no route to host",
        "deadline exceeded",
        "x509",
        "tls",
        "lookup",
        "dial tcp",
        "eof",
    ),
}
_IMAGE_REMEDIES: Mapping[str, str] = {
    "the registry answers that there were too many requests": "It is tried again",
    "the registry refuses access": "The administrator has to give the nodes or the runtime class access to it",
    "there is no such image": "The administrator has to correct the image of the runtime class",
    "the registry can't be reached": "It is tried again; the administrator can look at the node's network and the"
    " registry's name",
}


_MOUNTED_REMEDIES: Mapping[str, str] = {
    **_IMAGE_REMEDIES,
    "the registry refuses access": "Let spec.model.credentials.secretName name a Secret of the type"
    " kubernetes.io/dockerconfigjson with a login that this registry takes",
    "there is no such image": "Correct spec.model.uri, or push the image",
}


def image(name: str, reason: str, message: str, mounted: Iterable[str] = ()) -> str:
    """Say why an image can't be pulled; `reason` is the kubelet's.

    `name` is the container's own image, `mounted` are those of its pod's volumes, of which the kubelet says no more
    than their name in its words.
    """
    named = next((each for each in mounted if each in message), None)
    name, remedies = (name, _IMAGE_REMEDIES) if named is None else (named, _MOUNTED_REMEDIES)
    if reason == "InvalidImageName":
        return (
            f"The image {name} has no valid name. The administrator has to correct it in the runtime class."
        )
    if reason == "ErrImageNeverPull":
        return f"The image {name} is not on the node, and is not to be pulled."
    text = _SOCKETS.sub("", _BACK_OFF.sub("", message)).strip()
    lower = text.lower()
    cause = next((each for each, words in _IMAGE_CAUSES.items() if any(word in lower for word in words)), "")
    if not cause:
        return f"The image {name} can't be pulled" + (f": {text}" if text else ".")
    return f"The image {name} can't be pulled: {cause}. {remedies[cause]}. In the kubelet's words: {text}"


def secret(message: str) -> str | None:
    """Say which Secret or key is missing; None when the message is about something else."""
    remedy = "or correct spec.model.credentials.secretName."
    if found := _NO_SECRET.search(message):
        return f"Secret {found[1]} does not exist in this namespace. Create it, {remedy}"
    if found := _NO_KEY.search(message):
        return f"Secret {found[2]} lacks the key {found[1]}. Add it, {remedy}"
    return None


def quota(message: str) -> str | None:
    """Say which quota leaves no room, and how much of what is missing; None when that isn't the cause."""
    found = _QUOTA.search(message)
    if found is None:
        return None
    requested, used, limited = (_amounts(part) for part in found.groups()[1:])
    parts = [
        f"{what} asks for {amount}, and {used.get(what, '0')} of {limited.get(what, '?')} are in use"
        for what, amount in requested.items()
    ]
    return f"Quota {found[1]} leaves no room for another pod: {'; '.join(parts)}"


def refusal(message: str) -> str:
    """Give the words in which a pod was refused, without the name of the pod that was never made."""
    return _FORBIDDEN_POD.sub("", message)


def _amounts(text: str) -> dict[str, str]:
    """Read "requests.cpu=1,requests.memory=2Gi"."""
    pairs = (part.partition("=") for part in text.split(","))
    return {key.strip(): value.strip() for key, _separator, value in pairs}
