"""An authority of the tests' own and what it signs for servers on loopback, made with openssl."""

import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def authority(folder: Path) -> None:
    """Makes ca.crt and ca.key."""
    openssl(
        folder,
        "req",
        "-x509",
        *_KEY,
        "-days",
        "2",
        "-subj",
        "/CN=authority",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
    )


def certificate(
    folder: Path,
    name: str,
    key: str = "tls.key",
    signed: str = "tls.crt",
    hosts: str = "IP:127.0.0.1",
    dates: tuple[str, ...] = ("-days", "2"),
) -> None:
    """Makes a key and a certificate that the authority has signed; the names are those of a TLS Secret."""
    (folder / "names").write_text(f"subjectAltName={hosts}\n")
    openssl(folder, "req", *_KEY, "-subj", f"/CN={name}", "-keyout", f"{key}.new", "-out", "request")
    openssl(
        folder, "x509", "-req", "-in", "request", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
        *dates, "-extfile", "names", "-out", f"{signed}.new",
    )  # fmt: skip
    # In one step each: a server may be reading them.
    (folder / f"{key}.new").replace(folder / key)
    (folder / f"{signed}.new").replace(folder / signed)


def openssl(folder: Path, *arguments: str) -> None:
    """Runs openssl in a folder."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
