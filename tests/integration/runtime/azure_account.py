"""The account of Azure's emulator in the tests: its key, what lets somebody in, and how it is filled."""

import base64
import datetime
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping

import httpx

ACCOUNT = "modelyardtest"
KEY = base64.b64encode(b"canary-of-azure").decode()


def sas_token(permissions: str = "rl", minutes: int = 30) -> str:
    """A token that lets its holder do something with the whole account for a while, signed as Azure documents it."""
    expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    fields = {
        "sv": "2022-11-02", "ss": "b", "srt": "sco", "sp": permissions, "se": expiry.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }  # fmt: skip
    lines = (ACCOUNT, permissions, "b", "sco", "", fields["se"], "", "", fields["sv"], "", "")
    signature = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    return urllib.parse.urlencode({**fields, "sig": base64.b64encode(signature).decode()})


def fill(endpoint: str, files: Mapping[str, bytes]) -> None:
    """Makes the private container `models` and the public one `public`, with these files in both."""
    for container in ("models", "public"):
        headers = {"x-ms-blob-public-access": "container"} if container == "public" else {}
        with _client() as client:
            made = client.put(
                f"{endpoint}/{container}?restype=container&{sas_token('rwlac')}", headers=headers
            )
            made.raise_for_status()
        put(endpoint, container, files)


def put(endpoint: str, container: str, files: Mapping[str, bytes]) -> None:
    """Puts files into a container."""
    with _client() as client:
        for name, content in files.items():
            client.put(
                f"{endpoint}/{container}/{urllib.parse.quote(name)}?{sas_token('rwlac')}",
                content=content,
                headers={"x-ms-blob-type": "BlockBlob"},
            ).raise_for_status()


def _client() -> httpx.Client:
    return httpx.Client(verify=False)  # noqa: S501 - it is ours
