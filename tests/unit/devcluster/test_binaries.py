"""Which binaries there are and how they are built."""

import dataclasses
import re
from pathlib import Path

import pytest

from devcluster import binaries


def test_every_binary_of_a_cluster_is_built_by_one_module() -> None:
    for name in (*binaries.CONTROL_PLANE, *binaries.NODE, *binaries.CLIENTS):
        assert binaries.module_of(name) in binaries.MODULES
    assert len(binaries.known_names()) == len(set(binaries.known_names()))


def test_an_unknown_binary_is_told_as_such() -> None:
    with pytest.raises(KeyError):
        binaries.module_of("kubeadm")


@pytest.mark.parametrize("module", binaries.MODULES, ids=lambda module: module.folder)
def test_every_module_pins_its_sources_by_hash(module: binaries.Module) -> None:
    folder = binaries.GO_FOLDER / module.folder
    go_mod = (folder / "go.mod").read_text()
    if module.source:
        assert re.fullmatch(r"\d+\.\d+\.\d+", binaries.version_in(go_mod, module.source))
        sums = (folder / "go.sum").read_text()
        assert f"{module.source} v{binaries.version_in(go_mod, module.source)} h1:" in sums
    for binary in module.binaries:
        assert binary.package != "." or (folder / "main.go").is_file()


@pytest.mark.parametrize("module", binaries.MODULES, ids=lambda module: module.folder)
def test_no_module_needs_a_newer_go_than_we_ask_for(module: binaries.Module) -> None:
    go_mod = (binaries.GO_FOLDER / module.folder / "go.mod").read_text()
    wanted = binaries.go_version_number("go" + re.findall(r"^go (\S+)$", go_mod, re.MULTILINE)[0])
    assert wanted <= binaries.MINIMUM_GO


def test_the_version_is_the_one_that_go_mod_requires() -> None:
    go_mod = "module x\n\nrequire (\n\tk8s.io/kubectl v0.37.2\n\tk8s.io/kubernetes v1.37.2 // indirect\n)\n"
    assert binaries.version_in(go_mod, "k8s.io/kubernetes") == "1.37.2"
    assert binaries.version_in("require sigs.k8s.io/kind v0.33.0\n", "sigs.k8s.io/kind") == "0.33.0"
    assert binaries.version_in(go_mod, "") == ""


def test_the_cache_key_changes_with_sources_toolchain_and_flags() -> None:
    module = binaries.module_of("etcd")
    files = [("go.mod", b"a"), ("go.sum", b"b")]
    key = binaries.cache_key(files, "go1.26.8", module)
    assert key == binaries.cache_key(list(reversed(files)), "go1.26.8", module)
    with_tags = dataclasses.replace(
        module, binaries=(dataclasses.replace(module.binaries[0], tags="x"), *module.binaries[1:])
    )
    others = [
        binaries.cache_key([("go.mod", b"a"), ("go.sum", b"c")], "go1.26.8", module),
        binaries.cache_key([("go.mod", b"ab"), ("go.sum", b"")], "go1.26.8", module),
        binaries.cache_key(files, "go1.26.9", module),
        binaries.cache_key(files, "go1.26.8", with_tags),
    ]
    assert len({key, *others}) == 5


def test_kubernetes_carries_its_version_and_nothing_of_the_checkout() -> None:
    kubernetes = binaries.module_of("kubelet").binaries[0]
    arguments = binaries.build_arguments(kubernetes, "k8s.io/kubernetes", "1.37.2", Path("/out/kubernetes"))
    linker = arguments[arguments.index("-ldflags") + 1]
    assert "version.gitVersion=v1.37.2" in linker
    assert "version.gitMinor=37" in linker
    assert {"-trimpath", "-buildvcs=false", "-mod=readonly"} <= set(arguments)
    assert arguments[-3:] == ["-o", "/out/kubernetes", "."]


def test_runc_is_built_with_seccomp() -> None:
    runc = next(binary for binary in binaries.module_of("runc").binaries if binary.name == "runc")
    arguments = binaries.build_arguments(runc, "", "", Path("/out/runc"))
    assert runc.cgo
    assert arguments[arguments.index("-tags") + 1] == "seccomp"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/arm64", (1, 27, 0)),
        ("gccgo 12", ()),
        ("", ()),
    ],
)
def test_the_number_in_what_go_says(text: str, numbers: tuple[int, ...]) -> None:
    assert binaries.go_version_number(text) == numbers
