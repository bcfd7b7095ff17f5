"""The planted bugs in what the operator remembers, records and owns; part of `bugs.BUGS`."""

from tests.gates.bug import OPERATOR, Bug, scenario, unit

BUGS: tuple[Bug, ...] = (
    Bug(
        "a child that has lost our label is out of sight, and out of mind",
        f"{OPERATOR}/sight.py",
        "missing = [kind for kind in Kind if kind in expected - known - created]",
        "missing: list[Kind] = []",
        scenario("a child that has lost our label and is no longer wanted goes all the same"),
    ),
    Bug(
        "a rollout strategy of which somebody else owns a part can't be left any more",
        f"{OPERATOR}/plan.py",
        "actions.extend(_take_back_strategy(wanted, live))",
        "pass",
        scenario(
            "Recreate takes the rolling update's parameters away from whoever else has set them; no pod restarts"
        ),
    ),
    Bug(
        "a revision whose record is deleted is rendered anew, and its pods are restarted",
        f"{OPERATOR}/recovery.py",
        "    if not is_believed:\n        return None\n",
        "    return None\n",
        scenario(
            "a revision whose record somebody deletes is recorded as it runs, also after another image is offered"
        ),
    ),
    Bug(
        "a change by hand becomes the record of a revision",
        f"{OPERATOR}/recovery.py",
        "    if not is_believed:\n        return None\n",
        "",
        scenario(
            "what somebody has changed in the template does not become the record when he deletes the record too"
        ),
    ),
    Bug(
        "pods are restarted on the strength of a record that memory has wrong",
        f"{OPERATOR}/sight.py",
        " or _changes_template(decided)\n",
        "\n",
        unit("test_sight", "test_pods_are_restarted_only_by_a_record_that_was_read_live"),
    ),
    Bug(
        "what memory has missed once stays missing for ever",
        f"{OPERATOR}/watching.py",
        " or began >= self._relist_at:",
        ":",
        unit(
            "test_watching",
            "test_a_hole_in_memory_that_nothing_tells_of_is_filled_by_the_list_that_comes_once_in_a_while",
        ),
    ),
)
