"""What ordinary programs pack is unpacked, byte for byte, and fetched as a folder under the archive's own digest."""

import gzip
import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest
import zstandard

from modelyard_runtime import errors, fetchsettings
from modelyard_runtime.artifact import digest, fetch, store
from modelyard_runtime.artifact.archives import compression, folder, kinds, limits, tarball, unpacking
from tests.support import archive_making as making

FILES = {"model.bin": b"m" * 3000, "deep/er/notes.txt": b"hello", "empty": b"", "ü/日本.bin": b"u" * 512}
LIMIT_BYTES = 10 * making.MIB


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "deep" / "empty").mkdir()
    return root


def _read(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def _tar(form: int, root_name: str = "") -> Callable[[Path, Path], None]:
    def pack(source: Path, target: Path) -> None:
        with tarfile.open(target, "w", format=form) as archive:
            for path in sorted(source.rglob("*")):
                archive.add(path, root_name + path.relative_to(source).as_posix(), recursive=False)

    return pack


def _run(*command: str) -> Callable[[Path, Path], None]:
    def pack(source: Path, target: Path) -> None:
        words = [word.replace("TARGET", str(target)) for word in command]
        subprocess.run(words, cwd=source, check=True, capture_output=True)

    return pack


def _compressed(
    pack: Callable[[Path, Path], None], compress: Callable[[bytes], bytes]
) -> Callable[[Path, Path], None]:
    def pack_both(source: Path, target: Path) -> None:
        pack(source, target)
        target.write_bytes(compress(target.read_bytes()))

    return pack_both


def _zip(
    is_streamed: bool = False, root_name: str = "", force_zip64: bool = False
) -> Callable[[Path, Path], None]:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *arguments: object) -> int:
            raise io.UnsupportedOperation

        tell = seek

    def pack(source: Path, target: Path) -> None:
        buffer = Unseekable() if is_streamed else io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(source.rglob("*")):
                name = root_name + path.relative_to(source).as_posix()
                if path.is_dir():
                    archive.writestr(name + "/", b"")
                    continue
                with archive.open(zipfile.ZipInfo(name), "w", force_zip64=force_zip64) as entry:
                    entry.write(path.read_bytes())
        target.write_bytes(buffer.getvalue())

    return pack


def _twice_gzip(content: bytes) -> bytes:
    return gzip.compress(content[:700]) + gzip.compress(content[700:])


def _twice_zstd(content: bytes) -> bytes:
    return zstandard.compress(content[:700]) + zstandard.compress(content[700:])


PACKERS: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "Python's tar, ustar": ("m.tar", _tar(tarfile.USTAR_FORMAT)),
    "Python's tar, GNU": ("m.tar", _tar(tarfile.GNU_FORMAT)),
    "Python's tar, PAX": ("m.tar", _tar(tarfile.PAX_FORMAT)),
    "tar of a long top folder, GNU": ("m.tar", _tar(tarfile.GNU_FORMAT, "t" * 150 + "/")),
    "tar of a long top folder, PAX": ("m.tar", _tar(tarfile.PAX_FORMAT, "t" * 150 + "/")),
    "tar in upper case": ("M.TAR", _tar(tarfile.PAX_FORMAT)),
    "tar .": ("m.tar", _run("tar", "cf", "TARGET", ".")),
    "tar ../model": ("m.tgz", _run("tar", "czf", "TARGET", "-C", "..", "model")),
    "tar --format=posix": ("m.tar.gz", _run("tar", "czf", "TARGET", "--format=posix", ".")),
    "tar with xattrs": ("m.tar", _run("tar", "cf", "TARGET", "--xattrs", "--acls", ".")),
    "gzip in two members": ("m.tar.gz", _compressed(_tar(tarfile.PAX_FORMAT), _twice_gzip)),
    "zstd": ("m.tar.zst", _compressed(_tar(tarfile.PAX_FORMAT), zstandard.compress)),
    "zstd in two frames": ("m.tar.zst", _compressed(_tar(tarfile.PAX_FORMAT), _twice_zstd)),
    "zip": ("m.zip", _zip()),
    "zip of a top folder": ("m.zip", _zip(root_name="model/")),
    "zip written as a stream": ("m.zip", _zip(is_streamed=True)),
    "zip with 64-bit sizes": ("m.zip", _zip(force_zip64=True)),
    "zip with 64-bit sizes, as a stream": ("m.zip", _zip(is_streamed=True, force_zip64=True)),
}


@pytest.mark.parametrize("how", PACKERS)
def test_what_was_packed_is_unpacked(how: str, model: Path, tmp_path: Path) -> None:
    name, pack = PACKERS[how]
    staging = tmp_path / "staging"
    staging.mkdir()
    pack(model, staging / name)
    unpacked = unpacking.unpack(staging / name, LIMIT_BYTES)
    assert unpacked is not None
    assert _read(unpacked.path) == FILES
    assert unpacked.digest == digest.of_path(model) == digest.of_path(unpacked.path)
    assert unpacked.size_bytes == sum(map(len, FILES.values()))
    assert unpacked.path.name == name[0]
    assert [path.name for path in staging.iterdir()] == [name[0]]


def test_modes_say_no_more_than_who_may_run(tmp_path: Path) -> None:
    (tmp_path / "m.tar").write_bytes(
        making.tar(
            making.header("d/", b"5", mode=0o7777),
            making.file("d/setuid", mode=0o6777),
            making.file("d/closed", mode=0),
            making.file("plain"),
        )
    )
    unpacked = unpacking.unpack(tmp_path / "m.tar", LIMIT_BYTES)
    assert unpacked is not None
    modes = {path.name: path.stat().st_mode & 0o7777 for path in unpacked.path.rglob("*")}
    assert modes == {"d": 0o755, "setuid": 0o755, "closed": 0o644, "plain": 0o644}


@pytest.mark.parametrize(
    "name", ["m.keras", "m.pt2", "m.pt", "m.skops", "m.npz", "m.joblib.gz", "zip", "m.tar.bak"]
)
def test_a_file_of_another_name_stays_whole(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(making.zipped(("a", b"x")))
    assert unpacking.unpack(tmp_path / name, LIMIT_BYTES) is None
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_called_like_an_archive_is_none(tmp_path: Path) -> None:
    (tmp_path / "m.zip").mkdir()
    assert unpacking.unpack(tmp_path / "m.zip", LIMIT_BYTES) is None


def test_an_archive_within_stays_packed_and_what_a_mac_adds_is_left_out(tmp_path: Path) -> None:
    inner = making.zipped(("a", b"x"))
    (tmp_path / "m.zip").write_bytes(making.zipped(("m/in.zip", inner), ("__MACOSX/m/._in.zip", b"mac")))
    unpacked = unpacking.unpack(tmp_path / "m.zip", LIMIT_BYTES)
    assert unpacked is not None
    assert _read(unpacked.path) == {"in.zip": inner}


def test_a_single_file_stays_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".zip").write_bytes(making.zipped(("a", b"x")))
    unpacked = unpacking.unpack(tmp_path / ".zip", LIMIT_BYTES)
    assert unpacked is not None
    assert (unpacked.path.name, _read(unpacked.path)) == ("model", {"a": b"x"})


def test_archive_and_content_share_the_limit(tmp_path: Path) -> None:
    content = making.zipped(("a", bytes(range(256)) * 100))
    for limit, is_enough in ((len(content) + 25_600, True), (len(content) + 25_599, False)):
        (tmp_path / "m.zip").write_bytes(content)
        if is_enough:
            assert unpacking.unpack(tmp_path / "m.zip", limit) is not None
            continue
        with pytest.raises(
            errors.StartFailure, match="'a' brings what is unpacked to more than the 25599 bytes"
        ):
            unpacking.unpack(tmp_path / "m.zip", limit)


def test_layers_of_one_artifact_share_a_folder(tmp_path: Path) -> None:
    budget = limits.Budget(limits.Limits(LIMIT_BYTES), archive_bytes=making.MIB)
    first, second = making.tar(making.file("a", b"1")), gzip.compress(making.tar(making.file("d/b", b"2")))
    with folder.Folder(tmp_path / "model", budget).opened() as into:
        for kind, layer in ((kinds.Kind.TAR, first), (kinds.Kind.TAR_GZ, second)):
            with compression.reading(kind, io.BytesIO(layer)) as read:
                tarball.unpack(read, into)
        assert _read(tmp_path / "model") == {"a": b"1", "d/b": b"2"}
        with pytest.raises(errors.StartFailure, match="'a' is there twice"):
            tarball.unpack(io.BytesIO(first).read, into)


def test_a_link_that_appears_meanwhile_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    budget = limits.Budget(limits.Limits(LIMIT_BYTES), archive_bytes=making.MIB)
    with folder.Folder(tmp_path / "model", budget).opened() as into:
        into.add_folder("d")
        (tmp_path / "model" / "d").rmdir()
        (tmp_path / "model" / "d").symlink_to(tmp_path / "outside")
        (tmp_path / "model" / "f").symlink_to(tmp_path / "outside" / "f")
        for name in ("d/evil", "f"):
            with pytest.raises(errors.StartFailure):
                into.add_file(name, [b"x"])
    assert list((tmp_path / "outside").iterdir()) == []


def test_what_takes_long_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (tmp_path / "m.zip").write_bytes(making.zipped(*((f"{number}", b"x") for number in range(5))))
    ticks = iter(range(100))
    unpacking.unpack(tmp_path / "m.zip", LIMIT_BYTES, clock=lambda: float(next(ticks)))
    assert [record.message for record in caplog.records][-1] == "unpacked"
    assert "unpacking" in {record.message for record in caplog.records}


def _fetch(archive: Path, target: Path, **changes: object) -> object:
    options = fetchsettings.FetchSettings(
        uri=f"file://{archive}",
        artifact_dir=target,
        file_roots=(archive.parent,),
        **changes,  # type: ignore[arg-type]
    )
    return fetch.fetch(options, {}, lambda _: None)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    joblib.dump([1, 2, 3], tmp_path / "model.joblib")
    with tarfile.open(tmp_path / "iris.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "model.joblib", "iris-1.0/model.joblib")
    return tmp_path / "iris.tar.gz"


def test_a_fetched_archive_is_a_folder_with_the_digest_of_the_archive(archive: Path, tmp_path: Path) -> None:
    pinned = "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    _fetch(archive, tmp_path / "artifact", digest=pinned)
    manifest, path = store.Store(tmp_path / "artifact").open()
    assert (manifest.digest, manifest.path) == (pinned, "content/iris")
    assert manifest.content_digest == digest.of_path(path)
    assert _read(path) == {"model.joblib": (tmp_path / "model.joblib").read_bytes()}
    assert sorted(one.name for one in (tmp_path / "artifact").iterdir()) == ["content", "manifest.json"]


def test_an_unpacked_archive_is_not_fetched_again_unless_it_was_altered(
    archive: Path, tmp_path: Path
) -> None:
    first = _fetch(archive, tmp_path / "artifact")
    packed = archive.read_bytes()
    archive.unlink()
    assert _fetch(archive, tmp_path / "artifact") == first
    altered = tmp_path / "artifact/content/iris/model.joblib"
    altered.write_bytes(altered.read_bytes()[::-1])
    archive.write_bytes(packed)
    assert _fetch(archive, tmp_path / "artifact") == first
    assert altered.read_bytes() == (tmp_path / "model.joblib").read_bytes()


def test_nothing_is_unpacked_before_the_digest_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(*arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr(unpacking, "unpack", unexpected)
    (tmp_path / "m.tar").write_bytes(making.tar(making.file("../evil")))
    with pytest.raises(errors.StartFailure) as caught:
        _fetch(tmp_path / "m.tar", tmp_path / "artifact", digest="sha256:" + "0" * 64)
    assert caught.value.reason is errors.Reason.DIGEST_MISMATCH


def test_a_refused_archive_commits_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.tar").write_bytes(
        making.tar(making.file("good"), making.header("evil", b"2", link="/etc/passwd"))
    )
    with pytest.raises(errors.StartFailure) as caught:
        _fetch(tmp_path / "m.tar", tmp_path / "artifact")
    assert caught.value.reason is errors.Reason.ARCHIVE_REFUSED
    assert "'evil' is a symbolic link" in caught.value.message
    assert not (tmp_path / "artifact/manifest.json").exists()
    assert not (tmp_path / "artifact/content").exists()
