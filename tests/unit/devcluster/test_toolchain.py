"""Binaries from the cache, from the machine, or built; with a stand-in for the compiler."""

import os
from pathlib import Path

import pytest

from devcluster import binaries, errors, toolchain

GO = "#!/bin/sh\nif [ \"$1\" = version ]; then echo 'go version go1.26.8 linux/amd64'; exit; fi\n"


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr(binaries, "MODULES", (_small("etcd"), _small("pause")))
    return tmp_path / "cache"


def _small(name: str) -> binaries.Module:
    source = "go.etcd.io/etcd/server/v3" if name == "etcd" else ""
    return binaries.Module(name, source, (binaries.Binary(name, ".", names=(f"{name}-also",)),), 1, 1)


def _use_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    _program(tmp_path / "bin" / "go", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")


# Finds the argument after -o and writes there.
BUILDS = (
    GO
    + 'if [ "$1" = env ]; then echo /tmp; exit; fi\n'
    + 'while [ "$1" != -o ]; do shift; done\necho built >> "$2"\n'
)


def test_a_missing_binary_is_built_once_and_found_by_all_its_names(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _use_go(tmp_path, monkeypatch, BUILDS)
    path = toolchain.binary("etcd")
    assert path.read_text() == "built\n"
    assert "etcd 3.6.16 built" in capsys.readouterr().out
    assert toolchain.binary("etcd-also").resolve() == path.resolve()
    assert toolchain.binary("etcd") == path
    assert path.read_text() == "built\n"  # not built again
    assert capsys.readouterr().out == ""


def test_a_failed_build_says_why_and_leaves_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use_go(
        tmp_path,
        monkeypatch,
        GO + "if [ \"$1\" = env ]; then echo /tmp; exit; fi\necho 'cannot find module' >&2\nexit 1\n",
    )
    with pytest.raises(errors.DevclusterError, match="cannot find module"):
        toolchain.binary("etcd")
    assert list((cache / "bin").iterdir()) == []


def test_what_a_killed_build_left_is_removed_and_never_used(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use_go(tmp_path, monkeypatch, BUILDS)
    half = _program(cache / "bin" / ".building-etcd-4711" / "etcd", "half")
    others = _program(cache / "bin" / ".building-pause-4711" / "pause", "of a running build")
    assert toolchain.binary("etcd").read_text() == "built\n"
    assert not half.exists()
    assert others.exists()


@pytest.mark.parametrize(
    ("says", "reused"),
    [("etcd Version: 3.6.16", True), ("etcd Version: 3.6.1", False), ("etcd Version: 3.6.16-rc.1", False)],
)
def test_the_machines_own_binary_is_reused_in_exactly_the_right_version(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, reused: bool
) -> None:
    _use_go(tmp_path, monkeypatch, BUILDS)
    own = _program(tmp_path / "assets" / "etcd", f"#!/bin/sh\necho '{says}'\n")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(own.parent))
    assert (toolchain.binary("etcd") == own) is reused


def test_an_unknown_binary_is_refused_with_the_known_ones(cache: Path) -> None:
    with pytest.raises(errors.DevclusterError, match=r"no binary kubeadm; there are: etcd, etcd-also, pause"):
        toolchain.binary("kubeadm")


def test_too_little_disk_is_told_before_the_build(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use_go(tmp_path, monkeypatch, BUILDS)
    huge = binaries.Module("pause", "", (binaries.Binary("pause", "."),), 1, 2**60)
    monkeypatch.setattr(binaries, "MODULES", (huge,))
    with pytest.raises(errors.DevclusterError, match=r"needs about 1073741824.0 GiB free .* MODELYARD_CACHE"):
        toolchain.binary("pause")
