"""Amazon's signature, version 4, as far as the tests' door before moto needs it: to check a signed URL, to sign anew.

moto judges signatures in a header alone.
"""

import dataclasses
import hashlib
import hmac
import urllib.parse

_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclasses.dataclass(frozen=True)
class SignedUrl:
    """The request of a signed URL: its host, its path as it was sent, and the fields of its query."""

    host: str
    path: str
    fields: dict[str, str]

    @property
    def key_id(self) -> str:
        """Whose key has signed it."""
        return self.fields["X-Amz-Credential"].partition("/")[0]

    def is_signed_by(self, secret: str) -> bool:
        """Says whether the signature is that of a secret key."""
        query = {name: value for name, value in self.fields.items() if name != "X-Amz-Signature"}
        request = f"GET\n{self.path}\n{_query(query)}\nhost:{self.host}\n\nhost\nUNSIGNED-PAYLOAD"
        return hmac.compare_digest(self._signature(secret, request), self.fields["X-Amz-Signature"])

    def headers(self, secret: str) -> dict[str, str]:
        """Gives the headers that sign the same request for the path alone."""
        signed = {"host": self.host, "x-amz-content-sha256": _EMPTY, "x-amz-date": self.fields["X-Amz-Date"]}
        if (token := self.fields.get("X-Amz-Security-Token")) is not None:
            signed["x-amz-security-token"] = token
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(signed.items()))
        names = ";".join(sorted(signed))
        signature = self._signature(secret, f"GET\n{self.path}\n\n{lines}\n{names}\n{_EMPTY}")
        credential = f"Credential={self.fields['X-Amz-Credential']}"
        authorization = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return {**signed, "authorization": authorization}

    def _signature(self, secret: str, request: str) -> str:
        scope = self.fields["X-Amz-Credential"].partition("/")[2]
        digest = hashlib.sha256(request.encode()).hexdigest()
        key = f"AWS4{secret}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        text = f"AWS4-HMAC-SHA256\n{self.fields['X-Amz-Date']}\n{scope}\n{digest}"
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def parse(host: str, target: str) -> SignedUrl | None:
    """Gives the request of a signed URL, None when its query has no signature."""
    path, _, query = target.partition("?")
    fields = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    return SignedUrl(host, path, fields) if "X-Amz-Signature" in fields else None


def _query(fields: dict[str, str]) -> str:
    return urllib.parse.urlencode(sorted(fields.items()), quote_via=urllib.parse.quote, safe="-_.~")
