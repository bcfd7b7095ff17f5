"""What a person at a terminal sees: which cluster is chosen, progress, errors, what is missing."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster import __main__, clusters, commands, errors, packages, preflight, progress


@pytest.mark.parametrize(
    ("environ", "docker", "chosen"),
    [
        ({}, False, "devcluster"),
        ({}, True, "kind"),
        ({"CLUSTER": ""}, True, "kind"),
        ({"CLUSTER": "devcluster"}, True, "devcluster"),
        ({"CLUSTER": "kind"}, False, "kind"),
        ({"CLUSTER": "current"}, True, "current"),
    ],
)
def test_the_cluster_is_the_one_named_else_kind_with_docker_else_the_devcluster(
    environ: dict[str, str], docker: bool, chosen: str
) -> None:
    assert clusters.choose(environ, lambda: docker) == chosen


def test_an_unknown_cluster_is_refused_with_the_known_ones() -> None:
    with pytest.raises(errors.DevclusterError, match=r"CLUSTER=minikube .* devcluster, kind, current"):
        clusters.choose({"CLUSTER": "minikube"}, lambda: False)


def test_marks_are_plain_where_the_stream_is_no_utf8_terminal() -> None:
    assert progress.marks("utf-8", True)["done"] == "✓"
    assert progress.marks("UTF-8", False)["done"] == "ok"
    assert progress.marks("latin-1", True)["done"] == "ok"
    assert progress.marks(None, True)["done"] == "ok"


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    progress.write_to(stream)
    return stream


@pytest.fixture(autouse=True)
def _standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_streams", [])


def test_a_step_tells_its_end_with_its_time(lines: io.StringIO) -> None:
    with progress.step("building x", "x built", "about 1 s"):
        pass
    assert lines.getvalue() == "  .. building x (about 1 s)\n  ok x built (0.0 s)\n"


def test_a_failed_step_is_told_as_failed(lines: io.StringIO) -> None:
    with pytest.raises(KeyError), progress.step("building x", "x built"):
        raise KeyError
    assert lines.getvalue() == "  FAILED building x (0.0 s)\n"


def test_a_long_step_gives_signs_of_life(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.01)
    with progress.step("building x", "x built"):
        while "still building x" not in lines.getvalue():
            pass


def test_an_error_is_a_line_and_an_exit_code_and_never_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert __main__.main(["binary", "kubeadm"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("devcluster: there is no binary kubeadm; there are:")
    assert "Traceback" not in said
    assert __main__.main(["up", "--name", "Not A Name"]) == 1
    assert "instance name 'Not A Name' is not possible" in capsys.readouterr().err


def test_the_path_alone_is_on_standard_output() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "devcluster", "kubeconfig", "--name", "some"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.endswith("devcluster/some/kubeconfig\n")
    assert finished.stdout.count("\n") == 1


def test_a_failed_command_is_told_with_its_last_words() -> None:
    with pytest.raises(errors.DevclusterError, match=r"`sh -c .*` failed with exit code 3:\n    no space"):
        commands.run(["sh", "-c", "echo no space >&2; exit 3"])
    with pytest.raises(errors.DevclusterError, match="`no-such-program` is not installed"):
        commands.run(["no-such-program"])
    with pytest.raises(errors.DevclusterError, match=r"did not finish within 0 s"):
        commands.run(["sleep", "60"], timeout_seconds=0.1)


def test_missing_packages_are_told_with_the_line_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need = packages.Need("no-such-package", program="no-such-program")
    monkeypatch.setattr(packages, "NEEDS", {"node": (need, packages.Need("bash", program="sh"))})
    assert packages.missing("node") == ["no-such-package"]
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    (tmp_path / "apt-get").write_text("#!/bin/sh\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(errors.DevclusterError, match=r"sudo sh -c 'apt-get update && .* no-such-package'"):
        packages.require("node")


def test_an_ordinary_user_is_told_the_ways_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(errors.DevclusterError, match=r"needs root.* sudo.*Docker.*CLUSTER=current"):
        preflight.require_root()


def test_other_systems_are_told_the_ways_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(errors.DevclusterError, match=r"Linux only.*Docker.*CLUSTER=current"):
        preflight.require_linux()
