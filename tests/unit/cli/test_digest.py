"""`modelyard digest` prints what `fetch` will compare, and says in one sentence why it can't."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelyard_cli import __main__ as cli
from modelyard_cli import places, progress
from modelyard_runtime import errors, fetchsettings
from modelyard_runtime.artifact import credentials, fetch
from tests.support import archive_making


def _sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "a model"
    (root / "deep").mkdir(parents=True)
    (root / "model.joblib").write_bytes(b"\x80\x04N." * 10)
    (root / "deep" / "ü.txt").write_bytes(b"notes")
    return root


@pytest.mark.parametrize("name", ["", "model.joblib", "deep", "m.tar"])
def test_it_is_the_digest_that_fetch_finds(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "m.tar").write_bytes(archive_making.tar(archive_making.file("model.joblib", b"\x80\x04N.")))
    artifact = folder / name
    assert cli.run(["digest", str(artifact)], {}) == 0
    printed = capsys.readouterr()
    uri = places.parse(str(artifact)).raw
    options = fetchsettings.read(
        {
            "MODELYARD_MODEL_URI": uri,
            "MODELYARD_ARTIFACT_DIR": str(tmp_path / "artifact"),
            "MODELYARD_FILE_ROOTS": str(tmp_path),
            "MODELYARD_MODEL_FORMAT": "sklearn",
        }
    )
    assert printed.out == fetch.fetch(options, {}, lambda _: None).digest + "\n"
    assert printed.err == ""
    assert cli.run(["digest", uri], {}) == 0
    assert capsys.readouterr().out == printed.out


def test_a_path_may_be_relative_or_look_like_a_uri(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s3:model").write_bytes(b"x")
    assert cli.run(["digest", "s3:model"], {}) == 0
    assert capsys.readouterr().out.strip() == _sha(b"x")


@pytest.mark.parametrize(
    ("artifact", "reason", "says"),
    [
        ("missing.joblib", errors.Reason.ARTIFACT_NOT_FOUND, "'missing.joblib' does not exist"),
        ("ftp://host/m", errors.Reason.URI_UNSUPPORTED, "'ftp:'"),
        ("pvc://claim/m", errors.Reason.URI_UNSUPPORTED, "mounted in pods only"),
        ("http://127.0.0.1:1/m?secret=1", errors.Reason.FETCH_FAILED, "http://127.0.0.1:1/m"),
    ],
)
def test_a_failure_is_one_sentence_and_a_code(
    artifact: str, reason: errors.Reason, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["digest", artifact], {}) == reason.exit_code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"modelyard: {reason.value}: ")
    assert says in printed.err
    assert "secret=1" not in printed.err
    assert printed.err.count("\n") == 1


def test_a_command_that_is_none_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run([], {})
    assert caught.value.code == 2
    assert "usage: modelyard" in capsys.readouterr().err


def test_credentials_are_the_variables_called_like_the_keys() -> None:
    given = places.credentials({"AWS_REGION": "eu-1", "HTTP_PASSWORD": "", "HOME": "/root"})
    assert given == credentials.Credentials({"AWS_REGION": "eu-1"})


def test_an_empty_credentials_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["digest", "https://host/m", "--credentials-dir", str(tmp_path)], {}) == 88
    assert str(tmp_path) in capsys.readouterr().err


def test_who_waits_is_told_how_far_it_is() -> None:
    seconds = iter([0.0, 1.0, 2.0, 2.1, 3.0])
    output = io.StringIO()
    shown = progress.Progress(output, is_terminal=True, clock=lambda: next(seconds))
    shown.total_bytes = 4 * 1024**2
    for _ in range(4):
        shown.add(1024**2)
    shown.clear()
    lines = output.getvalue().split("\r\x1b[K")
    assert lines[1:] == [
        "modelyard: 2.0 MiB of 4.0 MiB, 1.0 MiB/s, 2 s left",
        "modelyard: 4.0 MiB of 4.0 MiB, 1.3 MiB/s, 0 s left",
        "",
    ]


def test_a_log_gets_a_line_every_ten_seconds() -> None:
    seconds = iter([0.0, *(float(second) for second in range(1, 15))])
    output = io.StringIO()
    shown = progress.Progress(output, is_terminal=False, clock=lambda: next(seconds))
    for _ in range(14):
        shown.add(100)
    shown.clear()
    assert output.getvalue() == "modelyard: 200 B read, 100 B/s\nmodelyard: 1.2 KiB read, 100 B/s\n"


def test_a_person_may_stop_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model")
    code = (
        "import sys; from modelyard_cli import __main__ as cli, digesting\n"
        "def wait(*a):\n    print('waiting', flush=True); import time; time.sleep(60)\n"
        "digesting.of_artifact = wait; sys.exit(cli.run(['digest', sys.argv[1]], {}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "model"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "waiting\n"
        started = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130
        assert child.stderr.read() == "modelyard: stopped\n"
        assert time.monotonic() - started < 30
