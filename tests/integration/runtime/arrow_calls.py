"""What pyarrow sends to a server and reads from it, and streams in every layout it writes; prints JSON.

Run in the clients' own environment: `arrow_calls.py <port of the people> <port of the numbers> <folder for streams>`.
"""

import importlib
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

pa = importlib.import_module("pyarrow")
FORM = "application/vnd.apache.arrow.stream"


def written(table: Any, **options: Any) -> bytes:
    """A table as a stream."""
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=3)
    content: bytes = stream.getvalue().to_pybytes()
    return content


def ask(port: int, table: Any) -> dict[str, Any]:
    """The columns of the answer, checked by pyarrow."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict?proba=1",
        written(table),
        {"Content-Type": FORM, "Accept": FORM},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the server of the test
        assert answer.headers["Content-Type"] == FORM
        found = pa.ipc.open_stream(answer.read()).read_all()
    found.validate(full=True)
    columns: dict[str, Any] = found.to_pydict()
    return columns


def streams() -> dict[str, bytes]:
    """Each layout that is taken, and each that is refused."""
    words = ["a", "øø", None, "", "x" * 30]
    table = pa.table
    views = [None, "more than twelve", "short", "", "another long one"]
    return {
        "numbers": written(
            table(
                {
                    "a": [1.0, None, 3.0, 4.0, 5.0],
                    "b": pa.array(range(5), pa.int16()),
                    "c": [True, False, None, True, True],
                    "d": pa.array(np.arange(5, dtype=np.float16)),
                    "e": pa.nulls(5),
                }
            )
        ),
        "texts": written(
            table(
                {
                    "a": words,
                    "b": pa.array(words, pa.large_string()),
                    "c": pa.array(views, pa.string_view()),
                }
            )
        ),
        "dictionaries": written(
            table(
                {
                    "a": pa.array(words).dictionary_encode(),
                    "b": pa.array([7, 8, None, 7, 7]).dictionary_encode(),
                }
            )
        ),
        "lists": written(table({"a": pa.array([[[1, 2], [3, 4]]] * 5, pa.list_(pa.list_(pa.int8(), 2), 2))})),
        "compressed": written(table({"a": np.arange(1000.0)}), compression="zstd"),
        "timestamps": written(table({"a": pa.array([1], pa.timestamp("s"))})),
    }


if __name__ == "__main__":
    people = pd.DataFrame({"city": ["Rome", "Oslo"] * 4, "age": np.arange(30.0, 70.0, 5.0)})
    people["city"] = people["city"].astype("category")
    numbers = {name: np.arange(7) + index for index, name in enumerate("abcd")}
    for name, stream in streams().items():
        (Path(sys.argv[3]) / name).write_bytes(stream)
    print(
        json.dumps(
            {
                "people": ask(int(sys.argv[1]), pa.Table.from_pandas(people)),
                "numbers": ask(int(sys.argv[2]), pa.table(numbers)),
            }
        )
    )
