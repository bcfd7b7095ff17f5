"""The node cache gives right bytes or nothing, stays within its size, and survives whatever its users die of."""

import os
import time
from pathlib import Path

import pytest

from modelyard_runtime.artifact import cache, cache_copying, cache_entries, digest
from tests.unit.runtime.cache_use import file, opened, put, take


@pytest.fixture(autouse=True)
def _any_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """How full this machine's disk is does not matter here."""
    monkeypatch.setattr(cache_entries, "_FREE_SHARE", 10**9)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_what_was_kept_is_taken(root: Path, tmp_path: Path) -> None:
    its_digest = put(root, tmp_path, b"model" * 100)
    assert take(root, tmp_path, its_digest) == b"model" * 100


def test_a_folder_is_kept_as_a_whole(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "ü").write_bytes(b"1")
    (folder / "a").write_bytes(b"22")
    its_digest = digest.of_path(folder)
    opened(root).put(its_digest, folder, 3)
    assert opened(root).take(its_digest, tmp_path / "taken") == 3
    assert digest.of_path(tmp_path / "taken") == its_digest


@pytest.mark.parametrize(
    ("changes", "is_there"),
    [({}, True), ({"scope": "team-b"}, False), ({"scheme": "file"}, False), ({"scheme": "oci"}, False)],
)
def test_only_the_same_namespace_takes_it(
    changes: dict[str, str], is_there: bool, root: Path, tmp_path: Path
) -> None:
    its_digest = put(root, tmp_path, b"model")
    assert (take(root, tmp_path, its_digest, **changes) is not None) is is_there


def test_nothing_is_taken_by_an_unknown_digest_or_without_aopened(root: Path, tmp_path: Path) -> None:
    put(root, tmp_path, b"model")
    assert opened(root).take(None, tmp_path / "taken") is None
    assert opened(root).take("sha256:" + "0" * 64, tmp_path / "taken") is None
    none = cache.Cache(None, "s3")
    path, its_digest = file(tmp_path, b"other")
    none.put(its_digest, path, 5)
    assert none.take(its_digest, tmp_path / "taken") is None


def _content(root: Path, its_digest: str) -> Path:
    (found,) = (root / "entries").glob(f"{its_digest.removeprefix('sha256:')}*")
    return found / "content"


def _change_a_byte(content: Path) -> None:
    content.write_bytes(b"mode1" + content.read_bytes()[5:])


def _cut(content: Path) -> None:
    os.truncate(content, 10)


def _lose(content: Path) -> None:
    content.unlink()


def _link(content: Path) -> None:
    content.rename(content.with_name("elsewhere"))
    content.symlink_to("elsewhere")


def _pipe(content: Path) -> None:
    content.unlink()
    os.mkfifo(content)


def _folder(content: Path) -> None:
    content.unlink()
    content.mkdir()
    (content / "x").write_bytes(b"x")


@pytest.mark.parametrize("spoil", [_change_a_byte, _cut, _lose, _link, _pipe, _folder])
def test_other_bytes_are_dropped_and_kept_anew(
    spoil: object, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    its_digest = put(root, tmp_path, b"model" * 100)
    spoil(_content(root, its_digest))  # type: ignore[operator]
    assert take(root, tmp_path, its_digest) is None
    assert "node cache held other bytes: dropped" in caplog.messages
    assert list((root / "entries").iterdir()) == []
    assert put(root, tmp_path, b"model" * 100) == its_digest
    assert take(root, tmp_path, its_digest) == b"model" * 100


def test_bytes_that_changed_on_the_way_in_are_not_kept(root: Path, tmp_path: Path) -> None:
    path, _ = file(tmp_path, b"model")
    opened(root).put("sha256:" + "0" * 64, path, 5)
    assert list((root / "entries").iterdir()) == list((root / "writing").iterdir()) == []


def _age(root: Path, its_digest: str, seconds: float) -> None:
    lock = _content(root, its_digest).with_name("lock")
    os.utime(lock, (time.time() - seconds,) * 2)


def test_the_longest_unused_makes_room(root: Path, tmp_path: Path) -> None:
    old, older, oldest = (
        put(root, tmp_path, content * 300, max_bytes=1000) for content in (b"a", b"b", b"c")
    )
    for its_digest, seconds in ((old, 10), (older, 20), (oldest, 30)):
        _age(root, its_digest, seconds)
    assert take(root, tmp_path, oldest) is not None  # and so is the youngest now
    new = put(root, tmp_path, b"d" * 400, max_bytes=1000)
    assert [take(root, tmp_path, each) is not None for each in (old, older, oldest, new)] == [
        True,
        False,
        True,
        True,
    ]
    assert list((root / "writing").iterdir()) == []


def test_what_is_larger_than_the_cache_is_not_kept_and_removes_nothing(root: Path, tmp_path: Path) -> None:
    kept = put(root, tmp_path, b"a" * 300, max_bytes=1000)
    large = put(root, tmp_path, b"b" * 1001, max_bytes=1000)
    assert [take(root, tmp_path, each) is not None for each in (kept, large)] == [True, False]


def test_what_is_in_use_is_not_removed(root: Path, tmp_path: Path) -> None:
    used = put(root, tmp_path, b"a" * 600, max_bytes=1000)
    entries = cache_entries.Entries(root, 1000)
    with entries.reading(f"{used.removeprefix('sha256:')}.team-a") as content:
        assert content is not None
        refused = put(root, tmp_path, b"b" * 600, max_bytes=1000)
        assert content.read_bytes() == b"a" * 600
    assert take(root, tmp_path, refused) is None
    assert take(root, tmp_path, put(root, tmp_path, b"b" * 600, max_bytes=1000)) == b"b" * 600
    assert take(root, tmp_path, used) is None


def test_a_full_volume_is_left_alone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def nearly_full(path: Path) -> os.statvfs_result:
        found = list(real(path))
        found[2], found[4] = 1_000_000, 100_000  # blocks, and those that are free
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", nearly_full)
    assert take(root, tmp_path, put(root, tmp_path, b"model")) == b"model"
    (root / "entries").rename(root / "earlier")
    monkeypatch.setattr(cache_entries, "_FREE_SHARE", 10)
    assert take(root, tmp_path, put(root, tmp_path, b"model")) is None


@pytest.mark.parametrize("spoil", ["a file in its place", "no such disk", "no right"])
def test_a_cache_that_can_not_be_used_is_no_failure(
    spoil: str, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if spoil == "a file in its place":
        root.write_bytes(b"")
    elif spoil == "no right":
        monkeypatch.setattr(Path, "mkdir", _denied)
    else:
        root = tmp_path / "missing" / "cache"
    its_digest = put(root, tmp_path, b"model")
    assert take(root, tmp_path, its_digest) is None
    assert caplog.messages == ["node cache can't be written", "node cache can't be read"]


def _denied(*arguments: object, **named: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_lock_that_nobody_gives_back_holds_up_for_seconds_only(root: Path, tmp_path: Path) -> None:
    entries = cache_entries.Entries(root, 1000)
    waited: list[float] = []
    with entries._index(), pytest.raises(OSError, match="another pod"):
        cache_entries.Entries(root, 1000, waited.append).drop("x")
    assert sum(waited) == pytest.approx(10)


def test_blocks_that_are_shared_are_hashed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def share(read: int, written: int) -> bool:
        """As the file systems do it that can: the whole content at once, and no offset moves."""
        os.pwrite(written, os.pread(read, 10_000, 0), 0)
        return True

    monkeypatch.setattr(cache_copying, "_share_blocks", share)
    path, its_digest = file(tmp_path, b"model" * 100)
    copied = cache_copying.copy(path, tmp_path / "copy")
    assert copied == cache_copying.Copied(its_digest, 500)
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


def test_who_comes_second_with_the_same_lets_it_be(root: Path) -> None:
    entries = cache_entries.Entries(root, 1000)
    with entries.writing("x", 1) as first, entries.writing("x", 1) as second:
        assert first is not None
        assert second is not None
        for number, (place, commit) in enumerate((first, second)):
            place.write_text(str(number))
            commit()
    assert (root / "entries" / "x" / "content").read_text() == "0"
    assert list((root / "writing").iterdir()) == []


def test_nothing_but_plain_files_is_copied(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not a plain file"):
        cache_copying.copy(Path("/dev/null"), tmp_path / "copy")
