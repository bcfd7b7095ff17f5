"""Numbers that a process shares with the processes it forks: each writes its own row, and whoever asks adds them up.

`metrics` keeps its numbers here, so that any worker of a pod can answer for all of them. A cell has one writer, one
thread of one process, so counting needs no lock and costs less than a method call.
"""

import mmap
from collections.abc import Callable

ROW_CELLS = 2048
_CELL_BYTES = 8


class Board:
    """One row of cells for each of `workers` processes; cells are allotted before the first fork, all start at 0."""

    def __init__(self, workers: int = 1) -> None:
        # Anonymous and shared: a fork sees the same memory, and it goes with the last process.
        memory = mmap.mmap(-1, workers * ROW_CELLS * _CELL_BYTES)
        cells = memoryview(memory).cast("d")
        self._rows = [cells[index * ROW_CELLS : (index + 1) * ROW_CELLS] for index in range(workers)]
        self._allotted = 0
        self.mine = self._rows[0]

    @property
    def workers(self) -> int:
        """How many processes have a row."""
        return len(self._rows)

    def allot(self, count: int = 1) -> int:
        """Gives the index of the first of `count` cells that nobody else has."""
        first = self._allotted
        self._allotted += count
        if self._allotted > ROW_CELLS:
            raise RuntimeError(f"a row of the board has {ROW_CELLS} cells, and {self._allotted} are wanted")
        return first

    def sit_at(self, worker: int) -> None:
        """Makes this process the writer of that row."""
        self.mine = self._rows[worker]

    def total(self, cell: int) -> float:
        """Gives the sum over all processes."""
        return sum(row[cell] for row in self._rows)

    def all_have(self, cell: int, test: Callable[[float], bool]) -> bool:
        """Says whether the cell of every process passes the test."""
        return all(test(row[cell]) for row in self._rows)
