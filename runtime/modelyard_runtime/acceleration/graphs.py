"""Linear models and pipelines on ONNX Runtime.

Called by `acceleration.model`. Sessions are made when they are first needed, so that each worker of a forked server
makes its own: a session's threads don't survive a fork.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Graph:
    """One ONNX file."""

    def __init__(self, file: Path, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 - models that run on Treelite alone don't need it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Waiting threads would burn the CPU that the server answers with, and an arena keeps what a large request took.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.inputs = tuple(one.name for one in self._session.get_inputs())
        self.outputs = tuple(one.name for one in self._session.get_outputs())
        self._names: dict[frozenset[str], list[str]] = {}

    def run(self, feeds: Mapping[str, Array], sources: frozenset[str]) -> dict[str, Array]:
        """Gives those of the outputs called for that this graph has."""
        names = self._names.get(sources)
        if names is None:
            names = self._names[sources] = [name for name in self.outputs if name in sources]
        if not names:
            return {}
        results = self._session.run(names, feeds)
        return dict(zip(names, (np.asarray(one) for one in results), strict=True))
