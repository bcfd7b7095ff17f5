"""Which binaries there are, from which pinned Go modules they come, and how they are built. Pure.

Called by `toolchain`, which does the building. Each folder below `go/` is one Go module, whose go.mod and go.sum pin
every source by hash; modules are apart where their dependencies cannot agree on one version, and where not everybody
needs them.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

GO_FOLDER = Path(__file__).parent / "go"
# The highest `go` line among the modules: an older toolchain would have to fetch another one.
MINIMUM_GO = (1, 26, 6)
# Strips symbol tables and leaves out the checkout's state and paths, so that the same source gives the same binary.
_COMMON_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
_GIBIBYTE = 1024**3


@dataclasses.dataclass(frozen=True)
class Binary:
    """One file that a build gives.

    Attributes:
        name: the file's name.
        package: the Go package to build, "." for the module's own main.go.
        cgo: whether it needs a C compiler; everything else is static.
        tags: build tags.
        names: further names under which the same file is called.
    """

    name: str
    package: str
    cgo: bool = False
    tags: str = ""
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Module:
    """One Go module below `go/`.

    Attributes:
        folder: its folder's name, which is also what people are told.
        source: the module path whose version is the one people know.
        binaries: what is built from it.
        cold_seconds: a cold build's time on two cores, for the announcement.
        cold_bytes: disk that a cold build takes for sources, build cache and result.
    """

    folder: str
    source: str
    binaries: tuple[Binary, ...]
    cold_seconds: int
    cold_bytes: int


_CONTAINERD = "github.com/containerd/containerd/v2"
_CNI = "github.com/containernetworking/plugins"
_COMPONENTS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)

MODULES = (
    Module(
        "kubernetes",
        "k8s.io/kubernetes",
        (Binary("kubernetes", ".", names=_COMPONENTS),),
        cold_seconds=470,
        cold_bytes=6 * _GIBIBYTE,
    ),
    Module(
        "etcd",
        "go.etcd.io/etcd/server/v3",
        (Binary("etcd", "go.etcd.io/etcd/server/v3"),),
        cold_seconds=30,
        cold_bytes=_GIBIBYTE // 2,
    ),
    Module(
        "runtime",
        _CONTAINERD,
        (
            Binary("containerd", f"{_CONTAINERD}/cmd/containerd"),
            Binary("containerd-shim-runc-v2", f"{_CONTAINERD}/cmd/containerd-shim-runc-v2"),
            Binary("ctr", f"{_CONTAINERD}/cmd/ctr"),
            Binary("runc", "github.com/opencontainers/runc", cgo=True, tags="seccomp"),
            Binary("ptp", f"{_CNI}/plugins/main/ptp"),
            Binary("host-local", f"{_CNI}/plugins/ipam/host-local"),
        ),
        cold_seconds=100,
        cold_bytes=2 * _GIBIBYTE,
    ),
    Module(
        "coredns",
        "github.com/coredns/coredns",
        (Binary("coredns", "."),),
        cold_seconds=60,
        cold_bytes=_GIBIBYTE,
    ),
    Module(
        "metrics-server",
        "sigs.k8s.io/metrics-server",
        (Binary("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server"),),
        cold_seconds=130,
        cold_bytes=2 * _GIBIBYTE,
    ),
    Module(
        "helm",
        "helm.sh/helm/v4",
        (Binary("helm", "helm.sh/helm/v4/cmd/helm"),),
        cold_seconds=140,
        cold_bytes=2 * _GIBIBYTE,
    ),
    Module(
        "versitygw",
        "github.com/versity/versitygw",
        (Binary("versitygw", "github.com/versity/versitygw/cmd/versitygw"),),
        cold_seconds=130,
        cold_bytes=2 * _GIBIBYTE,
    ),
    Module(
        "fake-gcs-server",
        "github.com/fsouza/fake-gcs-server",
        (Binary("fake-gcs-server", "github.com/fsouza/fake-gcs-server"),),
        cold_seconds=130,
        cold_bytes=2 * _GIBIBYTE,
    ),
    Module(
        "kind",
        "sigs.k8s.io/kind",
        (Binary("kind", "sigs.k8s.io/kind"),),
        cold_seconds=20,
        cold_bytes=_GIBIBYTE // 2,
    ),
    Module(
        "kwok",
        "sigs.k8s.io/kwok",
        (Binary("kwok", "sigs.k8s.io/kwok/cmd/kwok"),),
        cold_seconds=120,
        cold_bytes=2 * _GIBIBYTE,
    ),
    Module(
        "kstatus",
        "sigs.k8s.io/cli-utils",
        (Binary("kstatus", "."),),
        cold_seconds=20,
        cold_bytes=_GIBIBYTE // 2,
    ),
    Module("pause", "", (Binary("pause", "."),), cold_seconds=5, cold_bytes=_GIBIBYTE // 10),
)

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
NODE = (
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "ptp",
    "host-local",
    "coredns",
    "metrics-server",
    "pause",
)
CLIENTS = ("helm", "versitygw")

# How an installed binary tells its version, and the words before it. Only those that stand alone are reused: a
# containerd with another build's shim, or the like, would be a mixture that nobody tested.
VERSION_COMMANDS = {
    "kube-apiserver": (("--version",), "Kubernetes v{}"),
    "kube-controller-manager": (("--version",), "Kubernetes v{}"),
    "kubectl": (("version", "--client"), "Client Version: v{}"),
    "etcd": (("--version",), "etcd Version: {}"),
    "helm": (("version", "--short"), "v{}"),
    "kind": (("version",), "kind v{}"),
}


def module_of(name: str) -> Module:
    """Give the module that builds binary `name`.

    Raises:
        KeyError: there is no such binary.
    """
    for module in MODULES:
        for binary in module.binaries:
            if name == binary.name or name in binary.names:
                return module
    raise KeyError(name)


def known_names() -> list[str]:
    """List every name that `module_of` knows."""
    return sorted(
        name for module in MODULES for binary in module.binaries for name in (binary.name, *binary.names)
    )


def modules_of(names: Iterable[str]) -> list[Module]:
    """List the modules that build `names`, each once, in the order of MODULES."""
    wanted = {module_of(name).folder for name in names}
    return [module for module in MODULES if module.folder in wanted]


def version_in(go_mod: str, source: str) -> str:
    """Give the version that a go.mod requires of `source`, without the leading "v"; "" for our own programs."""
    match = (
        re.search(rf"^(?:require)?\s*{re.escape(source)} v(\S+)", go_mod, re.MULTILINE) if source else None
    )
    return match.group(1) if match else ""


def cache_key(files: Iterable[tuple[str, bytes]], go_version: str, module: Module) -> str:
    """Give the key under which a module's binaries are kept: it changes when they would.

    Args:
        files: name and content of go.mod, go.sum and the Go sources.
        go_version: what `go version` says, which includes the platform.
        module: how it is built.
    """
    digest = hashlib.sha256()
    for name, content in sorted(files):
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    digest.update(f"{go_version}\n{module.binaries}\n{_COMMON_FLAGS}".encode())
    return digest.hexdigest()[:16]


def build_arguments(binary: Binary, source: str, version: str, target: Path) -> list[str]:
    """Give the arguments of `go` that build `binary` into the file `target`."""
    linker = ["-s", "-w"]
    if source == "k8s.io/kubernetes":
        # Components compare versions with each other: the default v0.0.0 would be out of every supported range.
        major, minor, _ = version.split(".", 2)
        stamp = "k8s.io/component-base/version"
        linker += ["-X", f"{stamp}.gitVersion=v{version}"]
        linker += ["-X", f"{stamp}.gitMajor={major}", "-X", f"{stamp}.gitMinor={minor}"]
    arguments = ["build", *_COMMON_FLAGS, "-ldflags", " ".join(linker)]
    if binary.tags:
        arguments += ["-tags", binary.tags]
    return [*arguments, "-o", str(target), binary.package]


def go_version_number(text: str) -> tuple[int, ...]:
    """Give the numbers in what `go version` prints, as in (1, 26, 8); empty when there are none."""
    match = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in match.groups()) if match else ()
