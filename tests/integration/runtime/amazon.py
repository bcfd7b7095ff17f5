"""Amazon's S3 and STS over TLS, as moto plays them: what a pod with an identity of its own meets.

moto judges the signature and the rights of every request, but knows no signed URLs where it judges, judges STS's
unsigned call like a signed one, and takes its parameters from the body alone. The door in front of it makes up for
that, and is where TLS ends.
"""

import contextlib
import dataclasses
import datetime
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from tests.integration.runtime import artifact_servers, processes, sigv4
from tests.support import webserver

_STS_ACTION = "AssumeRoleWithWebIdentity"


@dataclasses.dataclass
class Amazon:
    """The services.

    Attributes:
        url: where both listen.
        proxy: an administrator's proxy by which Amazon's own addresses lead here.
        tunnels: the hosts that the proxy was asked for.
        ca: the authority of their certificate.
        token: the only web identity token that counts.
        user: id and key of a person who may read.
        session: id, key and token of a session of the role `reader`.
        lifetime: what is said of how long an identity's keys live; None leaves moto's hour. With it, answers of S3
            take a moment: the library asks for keys at most ten times a second.
        assumed: the roles that were assumed, in order.
        wants: a bucket's object that was asked for, with the id of the key that signed.
    """

    url: str
    proxy: str
    ca: Path
    token: str
    user: list[str]
    session: list[str]
    lifetime: datetime.timedelta | None = None
    assumed: list[str] = dataclasses.field(default_factory=list)
    wants: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    tunnels: set[str] = dataclasses.field(default_factory=set)

    def role(self, name: str) -> str:
        """The name of a role as Amazon writes it."""
        return f"arn:aws:iam::123456789012:role/{name}"


@contextlib.contextmanager
def running(folder: Path, authority: Path, files: Mapping[str, bytes], token: str) -> Iterator[Amazon]:
    """Starts moto with a bucket `models` of files and the roles of `amazon_setup.py`, and the door before it."""
    behind = f"http://127.0.0.1:{processes.free_port()}"
    for name, content in files.items():
        (folder / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / name).write_bytes(content)
    command: list[str | Path] = [
        artifact_servers.python().parent / "moto_server", "-H", "127.0.0.1", "-p", behind.rpartition(":")[2],
    ]  # fmt: skip
    with artifact_servers.running(
        command, folder, lambda: httpx.get(f"{behind}/moto-api/").status_code == 200
    ):
        keys = json.loads(artifact_servers.run_script("amazon_setup.py", behind, folder / "files"))
        amazon = Amazon("", "", authority / "ca.crt", token, **keys)
        tls = webserver.tls_context(authority / "tls.crt", authority / "tls.key")
        with (
            webserver.serving(_door(amazon, behind), tls) as port,
            webserver.serving(_tunnel(amazon, port)) as proxy_port,
        ):
            amazon.url, amazon.proxy = f"https://127.0.0.1:{port}", f"http://127.0.0.1:{proxy_port}"
            yield amazon


def _tunnel(amazon: Amazon, port: int) -> type[http.server.BaseHTTPRequestHandler]:
    class Tunnel(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            host = self.path.rpartition(":")[0]
            assert host.endswith(".amazonaws.com")
            amazon.tunnels.add(host)
            self.send_response(200)
            self.end_headers()
            webserver.pass_on(self.connection, ("127.0.0.1", port))
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Tunnel


def _door(amazon: Amazon, behind: str) -> type[http.server.BaseHTTPRequestHandler]:
    lock = threading.Lock()
    secrets = {keys[0]: keys[1] for keys in (amazon.user, amazon.session)}

    class Door(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if amazon.lifetime is not None:
                threading.Event().wait(0.3)
            key_id, target, headers = _for_moto(self.path, dict(self.headers.items()), secrets)
            if not headers:
                self._send(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
                return
            amazon.wants.append((target, key_id))
            with lock:
                # With the host as it came, which is signed.
                self._answer(httpx.get(behind + target, headers=headers))

        def do_POST(self) -> None:
            fields = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            self.rfile.read(int(self.headers.get("content-length", 0)))
            assert fields["Action"] == _STS_ACTION
            if fields["WebIdentityToken"].strip() != amazon.token:
                self._send(
                    400, b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>"
                )
                return
            amazon.assumed.append(fields["RoleArn"])
            with lock:
                httpx.post(f"{behind}/moto-api/reset-auth", content=b"inf").raise_for_status()
                answer = httpx.post(behind, data=fields)
                httpx.post(f"{behind}/moto-api/reset-auth", content=b"0").raise_for_status()
            found = {name: _element(answer.text, name) for name in ("AccessKeyId", "SecretAccessKey")}
            secrets[found["AccessKeyId"]] = found["SecretAccessKey"]
            self._answer(answer)

        def _answer(self, answer: httpx.Response) -> None:
            body = _expiring(answer.content, amazon.lifetime)
            kept = ("etag", "last-modified", "content-range", "content-type")
            headers = {name: answer.headers[name] for name in kept if name in answer.headers}
            self._send(answer.status_code, body, headers)

        def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Door


def _expiring(body: bytes, lifetime: datetime.timedelta | None) -> bytes:
    """Gives an answer that says another lifetime of its keys, where it says any."""
    start, said, rest = body.partition(b"<Expiration>")
    if lifetime is None or not said:
        return body
    expiry = datetime.datetime.now(datetime.UTC) + lifetime
    return start + said + f"{expiry:%Y-%m-%dT%H:%M:%SZ}<".encode() + rest.partition(b"<")[2]


def _for_moto(
    target: str, headers: dict[str, str], secrets: Mapping[str, str]
) -> tuple[str, str, dict[str, str]]:
    """Gives who asks, for what, and the headers that moto judges; none for a signed URL whose signature is wrong."""
    given = {name.lower(): value for name, value in headers.items()}
    asked = sigv4.parse(given["host"], target)
    if asked is None:
        return given["authorization"].partition("Credential=")[2].partition("/")[0], target, headers
    if not asked.is_signed_by(secrets[asked.key_id]):
        return asked.key_id, asked.path, {}
    span = {"range": given["range"]} if "range" in given else {}
    return asked.key_id, asked.path, asked.headers(secrets[asked.key_id]) | span


def _element(answer: str, name: str) -> str:
    return answer.partition(f"<{name}>")[2].partition("<")[0]
