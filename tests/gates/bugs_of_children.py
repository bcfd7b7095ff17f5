"""The planted bugs in what the runtime runs in a child process; part of `bugs.BUGS`."""

from tests.gates.bug import Bug

_CHILD = "runtime/modelyard_runtime/child.py"
_TESTS = "tests/unit/runtime/test_child.py"

BUGS: tuple[Bug, ...] = (
    Bug(
        "a child lives on when its parent is killed",
        _CHILD,
        "        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)\n",
        "",
        f"{_TESTS}::test_a_child_ends_with_its_parent",
    ),
    Bug(
        "what a child has started lives on when the child ends",
        _CHILD,
        "            self._ended = _ending(os.waitpid(self.process, 0)[1])\n            self._end_group()\n",
        "            self._ended = _ending(os.waitpid(self.process, 0)[1])\n",
        f"{_TESTS}::test_processes_that_a_child_leaves_end_with_it",
    ),
)
