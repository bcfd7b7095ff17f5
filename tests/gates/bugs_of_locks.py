"""The planted bugs in what keeps the pods of a revision at the same bytes; part of `bugs.BUGS`."""

from tests.gates.bug import OPERATOR, Bug, scenario, unit

BUGS: tuple[Bug, ...] = (
    Bug(
        "a lock is never put where pods read it",
        f"{OPERATOR}/guard.py",
        "            actions.extend(needed or _stops(name, lock, ours))\n",
        "            actions.extend([] if needed else _stops(name, lock, ours))\n",
        scenario("the first pod of an unpinned revision to load fixes the digest for all that follow"),
    ),
    Bug(
        "a pod that had fetched other bytes before there was a lock goes on",
        f"{OPERATOR}/guard.py",
        "told.digest != lock.digest:\n",
        "not told.digest:\n",
        scenario(
            "a pod that had fetched other bytes before there was a lock is stopped, its successor refuses"
        ),
    ),
    Bug(
        "any pod with our labels may fix a digest, and is stopped",
        f"{OPERATOR}/locks.py",
        '        and (objects.controller_of(pod) or {}).get("uid") in ours\n',
        "        and ours\n",
        scenario(
            "a pod that had fetched other bytes before there was a lock is stopped, its successor refuses"
        ),
    ),
    Bug(
        "a pod is stopped on the strength of a memory that is behind",
        f"{OPERATOR}/sight.py",
        "    deletes = any(not isinstance(action, plan.Apply) for action in decided.actions)\n",
        "    deletes = any(isinstance(action, plan.Delete) for action in decided.actions)\n",
        unit("test_locks", "test_a_pod_is_stopped_only_on_live_reads"),
    ),
    Bug(
        "other bytes than the revision is locked to are accepted",
        "runtime/modelyard_runtime/artifact/locking.py",
        "locked is not None and locked != actual:",
        "locked is not None and not actual:",
        "tests/unit/runtime/test_locking.py::"
        "test_other_bytes_are_refused_before_they_are_parsed_with_both_digests_and_the_remedy",
    ),
    Bug(
        "a server that is started again loads what was fetched before there was a lock",
        "runtime/modelyard_runtime/loading.py",
        "    locking.check(options.locked_digest, manifest.digest, manifest.uri)\n",
        "",
        "tests/unit/runtime/test_locking.py::test_a_server_that_is_started_again_does_not_load_other_bytes",
    ),
)
