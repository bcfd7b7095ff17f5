"""What the first node changes on the machine itself, and the last one puts back.

Called by the start and the removal of an instance with a node. The kubelet sets a few kernel parameters, and the fixed
folders of `mounts` must exist to be mounted over. Both are shared by all instances, whatever their state folder, so
they are remembered in one fixed place, with the instances that use them.
"""

import contextlib
import dataclasses
import json
from pathlib import Path

from devcluster import config, locks, mounts

PLACE = Path("/var/lib/modelyard")
# The kubelet sets these at its start.
KERNEL_PARAMETERS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_PARAMETERS = Path("/proc/sys")


@dataclasses.dataclass(frozen=True)
class Loan:
    """What was borrowed from the machine.

    Attributes:
        users: folders of the instances that use it.
        made: folders that were not there before.
        parameters: values from before.
    """

    users: tuple[str, ...]
    made: tuple[str, ...]
    parameters: dict[str, str]


def claim(layout: config.Layout, place: Path = PLACE) -> None:
    """Make the fixed folders, and remember how the machine was before the first instance."""
    with locks.hold(place / "host.lock", "changes the machine's settings", wait=True):
        loan = _living(_read(place))
        if not loan.users:
            loan = Loan((), tuple(sorted({*loan.made, *_absent()})), loan.parameters or _current())
        # Written before anything is made: a start that is killed here is still put right.
        _write(place, dataclasses.replace(loan, users=tuple(sorted({*loan.users, str(layout.root)}))))
        for folder in mounts.FIXED_FOLDERS:
            Path(folder).mkdir(parents=True, exist_ok=True)


def release(layout: config.Layout, place: Path = PLACE) -> None:
    """Put the machine back as it was when this was the last instance that used it."""
    if not (place / "host.json").exists():
        return
    with locks.hold(place / "host.lock", "changes the machine's settings", wait=True):
        loan = _living(_read(place))
        loan = dataclasses.replace(loan, users=tuple(user for user in loan.users if user != str(layout.root)))
        if loan.users:
            _write(place, loan)
        else:
            _give_back(loan)
            (place / "host.json").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        # Made for the record alone when the instances are elsewhere.
        place.rmdir()


def _give_back(loan: Loan) -> None:
    for name, value in loan.parameters.items():
        (_PARAMETERS / name).write_text(value)
    for folder in loan.made:
        # Somebody else may have put things there meanwhile: then it is theirs.
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _absent() -> list[str]:
    return [folder for folder in mounts.FIXED_FOLDERS if not Path(folder).exists()]


def _current() -> dict[str, str]:
    found = {}
    for name in KERNEL_PARAMETERS:
        with contextlib.suppress(FileNotFoundError):
            found[name] = (_PARAMETERS / name).read_text().strip()
    return found


def _living(loan: Loan) -> Loan:
    """Drop the users whose folder is gone: removed by hand, or with their disk."""
    return dataclasses.replace(loan, users=tuple(user for user in loan.users if Path(user).exists()))


def _read(place: Path) -> Loan:
    try:
        content = json.loads((place / "host.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return Loan((), (), {})
    return Loan(tuple(content["users"]), tuple(content["made"]), content["parameters"])


def _write(place: Path, loan: Loan) -> None:
    unfinished = place / "host.json.new"
    unfinished.write_text(json.dumps(dataclasses.asdict(loan)))
    unfinished.replace(place / "host.json")
