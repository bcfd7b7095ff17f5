"""Takes secrets out of text that leaves the operator: logs and Events.

Called by `logs` and `events` on every text. The CRD refuses URIs that carry a password or a signature, so there
should be none; but texts come from many places (the API server's words, a pod's last log lines, a resource that an
older CRD let in), and a URL is where secrets travel in them. Pure.
"""

import re

REDACTED = "***"
_MAX_URL = 2048

# user:password@ in front of a host. Bounded, so that a long text costs time in proportion to its length.
_USER = re.compile(rf"(?<=://)[^\s/@\"'<>]{{1,{_MAX_URL}}}@")
# name=value, in a query or an environment, where the name says that the value is a secret. Not name: value, which is
# how people are told what to write.
_SECRET = re.compile(
    r"(?i)(signature|credential|token|secret|passw(?:or)?d|api_?key|access_?key(?:_?id)?|\bsig)=[^\s&\"',;<>]{1,2048}"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,4096}")


def redact(text: str) -> str:
    """Give the text with what looks like a secret replaced by ***."""
    if "@" in text:
        text = _USER.sub(f"{REDACTED}@", text)
    if "=" in text:
        text = _SECRET.sub(rf"\1={REDACTED}", text)
    return _BEARER.sub(rf"\1 {REDACTED}", text)
