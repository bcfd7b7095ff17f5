"""Every hostile archive is refused by name, nothing of it gets out of its folder, and none takes time or memory."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelyard_runtime import errors
from modelyard_runtime.artifact.archives import limits, unpacking
from tests.support import archive_corpus

_LIMIT_BYTES = 1024**3
_CASES = {
    f"{number:03} {case.what} ({case.name})": case for number, case in enumerate(archive_corpus.cases())
}


def test_there_are_enough_of_them() -> None:
    assert len(_CASES) >= 120


@pytest.mark.parametrize("what", _CASES)
def test_it_is_refused_by_name_and_leaves_nothing_outside(what: str, tmp_path: Path) -> None:
    case = _CASES[what]
    staging = tmp_path / "artifact" / ".staging"
    staging.mkdir(parents=True)
    archive = staging / case.name
    archive.write_bytes(case.build())
    before = _outside(tmp_path, staging)
    started = time.process_time()
    with pytest.raises(errors.StartFailure) as caught:
        unpacking.unpack(archive, _LIMIT_BYTES)
    assert time.process_time() - started < 20
    assert caught.value.reason is errors.Reason.ARCHIVE_REFUSED, caught.value.message
    for words in case.says:
        assert words in caught.value.message
    assert len(caught.value.message) < 500
    assert caught.value.message.isprintable()
    assert _outside(tmp_path, staging) == before
    assert {path.name for path in staging.iterdir()} <= {case.name, f"{case.name}.unpacked"}
    written = sum(path.lstat().st_size for path in staging.rglob("*") if path != archive and path.is_file())
    assert written <= limits.RATIO_FREE_BYTES + limits.MAX_RATIO * archive.stat().st_size
    assert not any(path.is_symlink() for path in staging.rglob("*"))


def _outside(root: Path, staging: Path) -> set[str]:
    found = (Path(folder, name) for folder, folders, files in os.walk(root) for name in folders + files)
    return {str(path) for path in found if staging not in path.parents}


_IN_A_CHILD = """
import resource, sys
from pathlib import Path
from modelyard_runtime import errors
from modelyard_runtime.artifact.archives import unpacking
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        unpacking.unpack(next(path.iterdir()), 1024**3)
        sys.exit(f"{path} was unpacked")
    except errors.StartFailure as failure:
        assert failure.reason is errors.Reason.ARCHIVE_REFUSED
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_none_of_them_takes_memory(tmp_path: Path) -> None:
    for number, case in enumerate(_CASES.values()):
        (tmp_path / f"{number:03}").mkdir()
        (tmp_path / f"{number:03}" / case.name).write_bytes(case.build())
    child = subprocess.run(
        [sys.executable, "-c", _IN_A_CHILD, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr
    grown_mib = int(child.stdout)
    print(f"{len(_CASES)} archives: {grown_mib} MiB more than before the first")
    assert grown_mib < 64
