"""A folder arrives whole, its files side by side, or not at all."""

import hashlib
from pathlib import Path

import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact import download, source
from tests.unit.runtime.origins import SPAN, Origin, content_of


class Folder:
    """A folder of many files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = {path: Origin(content) for path, content in files.items()}

    def list_files(self) -> source.Listing:
        return source.Listing(
            True, tuple(source.File(path, len(one.content)) for path, one in self.files.items())
        )

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        return self.files[file.path].open_file(file, span)


def test_a_folder_of_small_and_large_files_arrives(tmp_path: Path) -> None:
    contents = {f"deep/{number}.txt": content_of(number) for number in range(300)}
    contents["large.bin"] = content_of(2 * SPAN + 1)
    arrived = download.fetch_artifact(Folder(contents), tmp_path / "f", 2**40, "x")
    assert {
        path.relative_to(tmp_path / "f").as_posix(): path.read_bytes()
        for path in (tmp_path / "f").rglob("*")
        if path.is_file()
    } == contents
    lines = sorted(
        f"{path}\0{hashlib.sha256(content).hexdigest()}\n".encode() for path, content in contents.items()
    )
    assert arrived.digest == "sha256:" + hashlib.sha256(b"".join(lines)).hexdigest()
    assert arrived.size_bytes == sum(map(len, contents.values()))


def test_one_failure_ends_a_folder(tmp_path: Path) -> None:
    folder = Folder({f"{number}.txt": b"x" for number in range(300)})
    folder.files["7.txt"] = Origin(b"x", breaks=[0], reason=errors.Reason.ACCESS_DENIED)
    with pytest.raises(errors.StartFailure) as caught:
        download.fetch_artifact(folder, tmp_path / "f", 2**40, "x")
    assert caught.value.reason is errors.Reason.ACCESS_DENIED
