"""`modelyard-runtime fetch | prepare | serve`: runs one command and turns its failure into words and a code.

The only place that reads the environment, writes the termination message and ends the process.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from modelyard_runtime import cpu, errors, fetchsettings, lifecycle, logs, settings

_log = logging.getLogger("modelyard_runtime")
_LOAD_IN_WORKERS = "--load-in-workers"
_KUBERNETES_TERMINATION_LOG = "/dev/termination-log"


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and ends the process with the code of its outcome."""
    parser = argparse.ArgumentParser(
        prog="modelyard-runtime",
        description="Fetches a model artifact (fetch), prepares it for a faster engine (prepare), serves it (serve). "
        "Settings come from MODELYARD_* variables.",
    )
    parser.add_argument("command", choices=("fetch", "prepare", "serve"))
    # For the second start of a process whose model's library can't be forked; nobody else needs it.
    parser.add_argument(_LOAD_IN_WORKERS, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    command = arguments.command
    # The first process of a container gets no signal that it has no handler for. The server sets its own later.
    signal.signal(signal.SIGTERM, _leave)
    process = settings.process_settings(os.environ)
    logs.configure(process.log_level)
    if command == "fetch":
        code = _interruptible(_run_fetch, process)
    else:
        code = (
            _run_prepare(process) if command == "prepare" else _run_serve(process, arguments.load_in_workers)
        )
    logging.shutdown()
    sys.stderr.flush()
    # Not sys.exit: a model that computes or loads in native code would hold up, or crash, the interpreter's farewell.
    os._exit(code)


def _leave(signal_number: int, frame: FrameType | None) -> NoReturn:
    """Ends the process as the signal would have."""
    del frame
    os._exit(128 + signal_number)


def _interruptible(run: Callable[[settings.ProcessSettings], int], process: settings.ProcessSettings) -> int:
    """Runs a command in a thread and gives its exit code: a transfer in native code would keep signals waiting."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(run(process)), name="fetch", daemon=True)
    thread.start()
    thread.join()
    return codes[0]


def _run_fetch(process: settings.ProcessSettings) -> int:
    # Here and below: each command pays only for its own imports.
    from modelyard_runtime.artifact import confidential, fetch  # noqa: PLC0415
    from modelyard_runtime.artifact import manifest as manifests  # noqa: PLC0415
    from modelyard_runtime.formats import detection  # noqa: PLC0415

    stage = lifecycle.Stage.FETCHING

    def enter(following: lifecycle.Stage) -> None:
        nonlocal stage
        stage = following

    try:
        confidential.protect_memory()
        options = fetchsettings.read(os.environ)
        manifest = fetch.fetch(options, os.environ, enter)
        found = detection.require_known(options.artifact_dir / manifest.path, options.model_format)
    except errors.StartFailure as failure:
        return _fail(process, failure, stage)
    except Exception as error:
        # The outermost loop of the process.
        _log.debug("fetch failed", exc_info=True)
        return _fail(process, _internal(error), stage)
    _tell(process, manifests.report(manifest, found))
    _log.info(
        "artifact ready",
        extra={"fields": {"uri": manifest.uri, "digest": manifest.digest, "bytes": manifest.bytes}},
    )
    return 0


def _run_prepare(process: settings.ProcessSettings) -> int:
    stage = lifecycle.Stage.LOADING

    def enter(following: lifecycle.Stage) -> None:
        nonlocal stage
        stage = following

    try:
        options = settings.prepare_settings(os.environ)
        # Before anything imports NumPy, which a child of `prepare` will do.
        cpu.limit_threads(os.environ)
        from modelyard_runtime import prepare  # noqa: PLC0415

        decided = prepare.prepare(options, enter)
    except errors.StartFailure as failure:
        return _fail(process, failure, stage)
    except Exception as error:
        # The outermost loop of the process.
        _log.debug("prepare failed", exc_info=True)
        return _fail(process, _internal(error), stage)
    _log.info(
        "prepared",
        extra={
            "fields": {
                "engine": decided.engine, "why": decided.reason, "checked_rows": decided.checked_rows,
            }
        },
    )  # fmt: skip
    return 0


def _run_serve(process: settings.ProcessSettings, loads_in_workers: bool) -> int:
    try:
        options = settings.serve_settings(os.environ)
        threads = cpu.limit_threads(os.environ, workers=options.workers)
        _log.debug("threads", extra={"fields": {"threads": threads}})
        # After limit_threads: this imports NumPy.
        from modelyard_runtime import workers  # noqa: PLC0415

        finished = workers.serve(options, loads_in_workers)
    except errors.StartFailure as failure:
        return _fail(process, failure, lifecycle.Stage.LOADING)
    except Exception as error:
        # The outermost loop of the process.
        _log.debug("serve failed", exc_info=True)
        return _fail(process, _internal(error), lifecycle.Stage.LOADING)
    if finished.must_load_in_workers:
        arguments = "-m", "modelyard_runtime", "serve", _LOAD_IN_WORKERS
        os.execv(sys.executable, (sys.executable, *arguments))  # noqa: S606 - ourselves
    if finished.failure is not None:
        code = _fail(process, finished.failure, finished.stage)
        return finished.exit_code or code
    _log.info("stopped")
    return finished.exit_code


def _internal(error: Exception) -> errors.StartFailure:
    return errors.StartFailure(errors.Reason.INTERNAL_ERROR, f"unexpected: {logs.describe_exception(error)}")


def _fail(process: settings.ProcessSettings, failure: errors.StartFailure, stage: lifecycle.Stage) -> int:
    """Says why, in the log and in the termination message, and gives the exit code."""
    _log.error(
        "failed",
        extra={"fields": {"reason": failure.reason.value, "problem": failure.message, "stage": stage.value}},
    )
    _tell(process, errors.termination_message(failure, stage))
    return failure.reason.exit_code


def _tell(process: settings.ProcessSettings, message: bytes) -> None:
    """Writes the termination message, which the operator reads in the pod's status."""
    path = process.termination_message_path
    # The kubelet makes the default file; outside a pod there is none, and /dev is no place for one.
    if str(path) != _KUBERNETES_TERMINATION_LOG or path.exists():
        try:
            path.write_bytes(message)
        except OSError as error:
            _log.warning("termination message not written", extra={"fields": {"problem": error.strerror}})


if __name__ == "__main__":
    main()
