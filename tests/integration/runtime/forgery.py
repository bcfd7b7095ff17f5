"""URIs that are made to have `fetch` connect where it must not, and a network in which every such place listens.

Run as a program in a network namespace of its own: all forbidden addresses are on its loopback interface, with traps
that count whoever connects. Prints what became of each URI and what the traps have counted, as JSON.
"""

import dataclasses
import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.artifact import addresses, egress, identity, source
from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import opening

PERMITTED = "10.99.0.1"  # the server of whoever forges; private, so nothing forbids it
FORBIDDEN_IPV4 = (
    "127.0.0.1", "127.1.2.3", "169.254.169.254", "169.254.170.2", "169.254.1.1", "100.100.100.200", "168.63.129.16",
    "192.0.0.192",
)  # fmt: skip
FORBIDDEN_IPV6 = ("::1", "fd00:ec2::254", "fd20:ce::254", "fec0::1", "64:ff9b::7f00:1", "2002:7f00:1::1")
PORT, TLS_PORT = 80, 443
SECRET = "canary-of-forgery"

# Each way to write an IPv4 address that a resolver takes.
_WRITTEN = {
    "127.0.0.1": (
        "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0x7f.0.0.1", "0177.0.0.1", "0177.1",
        "017700000001", "0x7F.0x0.0x0.0x1", "127.0.0x1", "127.0.0.01", "00000177.0.0.1", "127.1.2.3", "127.0.0.1.",
        "0.0.0.0", "0", "0x0", "0.1", "00.0.0.0",
    ),
    "169.254.169.254": (
        "169.254.169.254", "2852039166", "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "025177524776",
        "169.254.43518", "169.16689662", "0xa9.254.0251.0xfe", "0xA9FEA9FE", "169.254.0xa9fe",
    ),
    "others": (
        "169.254.170.2", "169.254.1.1", "100.100.100.200", "0x646464c8", "1684301000", "168.63.129.16", "0xa83f8110",
        "192.0.0.192", "0300.0.0.0300", "224.0.0.1", "255.255.255.255", "240.0.0.1",
    ),
}  # fmt: skip
_IPV6 = (
    "::1", "::", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::0001", "::ffff:127.0.0.1",
    "::ffff:7f00:1", "0:0:0:0:0:ffff:7f00:0001", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::127.0.0.1",
    "::7f00:1",
    "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::1",
    "2002:a9fe:a9fe::1", "fd00:ec2::254", "fd00:0ec2:0:0:0:0:0:254", "fd20:ce::254", "fe80::1", "fe80::a9fe:a9fe",
    "fec0::1", "ff02::1", "fe80::1%25lo", "::ffff:100.100.100.200", "::5efe:127.0.0.1", "2001:0:7f00:1::",
    "fd00:a9fe:a9fe::1", "fd00:42::42", "100::1",
)  # fmt: skip
# Names → what each further question of a resolver is answered with.
NAMES: dict[str, tuple[str, ...]] = {
    "permitted.example": (PERMITTED,),
    "localhost": ("127.0.0.1",),
    "localhost.localdomain": ("127.0.0.1",),
    "metadata.google.internal": ("169.254.169.254",),
    "metadata": ("169.254.169.254",),
    "forged.example": ("127.0.0.1",),
    "forged6.example": ("::1",),
    "mapped.example": ("::ffff:127.0.0.1",),
    "both.example": (f"{PERMITTED},127.0.0.1",),
    "rebind.example": (PERMITTED, "127.0.0.1"),
    "rebind-late.example": ("127.0.0.1", PERMITTED),
    "xn--n3h.example": ("127.0.0.1",),
}
_NAMES = (
    "localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "metadata.google.internal",
    "METADATA.google.internal.", "metadata", "forged.example", "forged6.example", "mapped.example", "both.example",
    "%6c%6fcalhost", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "\uff4c\uff4fcalhost", "①②⑦.⓪.⓪.①", "127。0。0。1", "127\uff0e0\uff0e0\uff0e1",
    "\uff11\uff12\uff17.0.0.1", "⑯⑨.②⑤④.⑯⑨.②⑤④", "☃.example",
)  # fmt: skip
_SHAPES = (
    "http://permitted.example@127.0.0.1/m", "http://permitted.example:80@127.0.0.1/m",
    "http://permitted.example%40127.0.0.1/m", "http://127.0.0.1\\@permitted.example/m",
    "http://permitted.example\\@127.0.0.1/m", "http:\\\\127.0.0.1/m", "http:/\\127.0.0.1/m", "http:///127.0.0.1/m",
    "http:127.0.0.1/m", "http://127.0.0.1:80:80/m", "http://127.0.0.1:080/m", "http://127.0.0.1:+80/m",
    "http://[127.0.0.1]/m", "http://[::1]:80/m", "http://[::1]x/m", "http://[[::1]]/m", "http://127.0.0.1%00/m",
    "http://127.0.0.1%09/m", "http://127.0.0.1\t/m", "http://127.0.0.1\r\nHost: permitted.example/m",
    "http://permitted.example\r\n@127.0.0.1/m", "http:// 127.0.0.1/m", "HTTP://127.0.0.1/m", "hTTps://127.0.0.1/m",
    "http://127.0.0.1?@permitted.example/", "http://127.0.0.1#@permitted.example/", "http://127.0.0.1;permitted.example/m",
    "http://127.0.0.1,permitted.example/m", "http://user:pass@127.0.0.1/m", "http://@127.0.0.1/m", "http://:@127.0.0.1/m",
    "gopher://127.0.0.1:80/_GET", "ftp://127.0.0.1/m", "dict://127.0.0.1:80/m", "ldap://127.0.0.1/m", "tftp://127.0.0.1/m",
    "jar:http://127.0.0.1/m!/x", "data:text/plain,m", "javascript:1", "unix:///run/x.sock", "http+unix://%2Frun%2Fx/m",
    "file:///etc/passwd", "file://127.0.0.1/etc/passwd", "file:///proc/self/environ", "FILE:///etc/passwd",
    "netdoc:///etc/passwd", "url:http://127.0.0.1/m", "//127.0.0.1/m", "127.0.0.1/m", "http://127.0.0.1../m",
)  # fmt: skip
# What a permitted server redirects to, at first hand or after another redirect.
_REDIRECTS = (
    "http://127.0.0.1/m", "https://127.0.0.1/m", "//127.0.0.1/m", "http://169.254.169.254/latest/meta-data/",
    "http://2130706433/m", "http://0x7f.1/m", "http://[::1]/m", "http://[::ffff:127.0.0.1]/m", "http://forged.example/m",
    "http://metadata.google.internal/computeMetadata/v1/", "http://permitted.example@127.0.0.1/m",
    "http://127.0.0.1\\@permitted.example/m", "gopher://127.0.0.1:80/_GET", "ftp://127.0.0.1/m", "file:///etc/passwd",
    "data:text/plain,m", "jar:http://127.0.0.1/m!/x", "http://100.100.100.200/latest/", "http://localhost/m", "http://0/m",
)  # fmt: skip
_BUCKETS = (
    "http://127.0.0.1", "http://127.1", "http://2130706433", "http://0x7f.1", "http://[::1]", "http://[::ffff:7f00:1]",
    "http://169.254.169.254", "http://0xa9fea9fe", "http://forged.example", "http://both.example", "https://127.0.0.1",
    "https://[::1]", "https://169.254.169.254", "https://localhost", "http://user:pass@127.0.0.1", "http://0.0.0.0",
)  # fmt: skip
# What libraries with a network stack of their own are asked for.
_LIBRARIES = (
    "s3://bucket/folder/",
    "gs://bucket/m",
    "az://container/m",
    "hf://org/model",
    "mlflow://models/m/1",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One forged request: the URI, and the endpoint in the Secret for a bucket."""

    uri: str
    endpoint: str = ""

    def __str__(self) -> str:
        return f"{self.uri} at {self.endpoint}" if self.endpoint else self.uri


def attempts() -> list[Attempt]:
    """The corpus: every one of them must be refused."""
    written = itertools.chain(*_WRITTEN.values(), (f"[{address}]" for address in _IPV6), _NAMES)
    found = [Attempt(f"http://{host}/m") for host in written]
    found += [
        Attempt(f"https://{host}/m")
        for host in ("127.0.0.1", "0x7f.1", "[::1]", "[fd00:ec2::254]", "localhost")
    ]
    found += [Attempt(uri) for uri in _SHAPES]
    for number in range(len(_REDIRECTS)):
        found.append(Attempt(f"http://permitted.example/redirect/{number}"))
    for code, scheme in itertools.product((301, 303, 307, 308), ("http", "https")):
        found.append(Attempt(f"{scheme}://permitted.example/code/{code}"))
    found.append(Attempt("http://permitted.example/chain/4"))
    found += [Attempt("s3://bucket/m", endpoint) for endpoint in _BUCKETS]
    found += [Attempt(uri, endpoint) for uri in _LIBRARIES for endpoint in _BUCKETS[::3]]
    found += [
        Attempt(f"oci://{host}/model:1")
        for host in ("127.0.0.1", "127.0.0.1:443", "[::1]", "localhost", "forged.example")
    ]
    redirected = ("s3://bucket/to-loopback", "s3://bucket/folder/")
    return [*found, *(Attempt(uri, "http://permitted.example") for uri in redirected)]


_ENDPOINTS = (
    "AWS_ENDPOINT_URL", "GOOGLE_STORAGE_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "HF_ENDPOINT", "MLFLOW_TRACKING_URI",
)  # fmt: skip


class Resolver:
    """Answers from `NAMES`, another answer each time; addresses as the system's own resolver reads them."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}

    def __call__(self, host: str, port: int) -> list[str]:
        name = host.rstrip(".").lower()
        if name in NAMES:
            answers = NAMES[name]
            asked = self._asked.get(name, 0)
            self._asked[name] = asked + 1
            return answers[min(asked, len(answers) - 1)].split(",")
        return egress.resolve(host, port)


class Network:
    """The traps and the permitted server.

    Attributes:
        trapped: who connected to a forbidden address: (address, port).
        logins: the Authorization headers that the permitted server has seen.
    """

    def __init__(self, certificate: Path) -> None:
        self.trapped: list[tuple[str, int]] = []
        self.logins: list[str] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        _set_up_interface()
        for family, address, port in _every_address():
            listener = socket.create_server((address, port), family=family, backlog=50)
            threading.Thread(target=self._accept, args=(listener, address, port), daemon=True).start()

    def _accept(self, listener: socket.socket, address: str, port: int) -> None:
        while True:
            client, _ = listener.accept()
            if address != PERMITTED:
                self.trapped.append((address, port))
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client, port), daemon=True).start()

    def _serve(self, client: socket.socket, port: int) -> None:
        try:
            client.settimeout(30)
            served = self._context.wrap_socket(client, server_side=True) if port == TLS_PORT else client
            with served, served.makefile("rb") as content:
                lines = itertools.takewhile(
                    bytes.strip, content
                )  # to the empty one, or as far as the client gets
                head = [line.decode("latin-1").rstrip() for line in lines]
                self.logins += [line for line in head if line.lower().startswith("authorization:")]
                if head:
                    served.sendall(_answer(head[0].split(" ")[1]).encode())
        except OSError:
            client.close()


def _answer(path: str) -> str:
    kind, _, argument = path.strip("/").partition("/")
    code, location = 302, ""
    if kind == "redirect":
        location = _REDIRECTS[int(argument)]
    elif kind == "code":
        code, location = int(argument), "http://127.0.0.1/m"
    elif kind == "chain":
        location = (
            f"http://permitted.example/chain/{int(argument) - 1}" if argument != "0" else "http://127.1/m"
        )
    elif kind.startswith("bucket"):
        code, location = 307, "http://127.0.0.1/m"
    if not location:
        return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    return f"HTTP/1.1 {code} X\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _every_address() -> Iterator[tuple[socket.AddressFamily, str, int]]:
    for port in (PORT, TLS_PORT):
        for address in (*FORBIDDEN_IPV4, PERMITTED):
            yield socket.AF_INET, address, port
        for address in FORBIDDEN_IPV6:
            yield socket.AF_INET6, address, port


def _set_up_interface() -> None:
    commands = ["link set lo up"]
    commands += [f"addr add {address}/32 dev lo" for address in (*FORBIDDEN_IPV4[2:], PERMITTED)]
    commands += [f"addr add {address}/128 dev lo nodad" for address in FORBIDDEN_IPV6[1:]]
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


def run(attempt: Attempt, door: egress.Egress) -> str:
    """Gives what became of an attempt: the reason it was refused with, or what was read."""
    keys = {
        "HTTP_BEARER_TOKEN": SECRET,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AZURE_STORAGE_ACCOUNT_NAME": "account",
    }
    if attempt.endpoint:
        keys |= dict.fromkeys(_ENDPOINTS, attempt.endpoint)
    surroundings = source.Surroundings(secrets.Credentials(keys), {}, egress=door, file_roots=(Path("/"),))
    try:
        origin = opening.open_source(uris.parse(attempt.uri), surroundings)
        content = origin.open_file(origin.list_files().files[0], source.Span(0, 100))
        return f"read {b''.join(bytes(chunk) for chunk in content.chunks)!r}"
    except errors.StartFailure as failure:
        return "a secret was told" if SECRET in failure.message else failure.reason.value


def main(certificate: Path) -> None:
    """Runs the corpus and prints what happened."""
    network = Network(certificate)
    authority = certificate.with_name("ca.crt").read_text()
    granted = identity.read({}, is_granted=False)
    door = egress.Egress(egress.Policy(identity=granted, ca_pem=authority), Resolver())
    environment: dict[str, str] = {}
    door.announce(environment)
    # As `fetch` has it: the libraries read the process environment.
    os.environ.update(environment)
    outcomes = {str(attempt): run(attempt, door) for attempt in attempts()}
    rebinding = [run(Attempt(f"http://rebind{late}.example/m"), door) for late in ("", "", "-late", "-late")]
    trapped = list(network.trapped)
    # The traps work: with the administrator's word the same requests arrive.
    allowed = egress.Policy(allowed=addresses.parse_allowed("127.0.0.0/8,::1/128"), ca_pem=authority)
    for uri in ("http://127.0.0.1/m", "http://[::1]/m", "http://2130706433/m"):
        run(Attempt(uri), egress.Egress(allowed, Resolver()))
    proof = len(network.trapped) - len(trapped)
    print(json.dumps({"outcomes": outcomes, "rebinding": rebinding, "trapped": trapped, "proof": proof}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
