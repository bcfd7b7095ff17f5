"""Questions and answers of the servers that are compared."""

import json
from typing import Any

import numpy as np
import pytest

from bench import runtime_cases, runtime_servers, runtime_wording, wrk

ROWS = np.array([[1.5, 2.0], [3.0, 4.0]])
RECORDS: list[dict[str, Any]] = [{"age": 40.0, "city": "Bern"}]


def test_numbers_in_binary_come_after_a_head_that_says_how_long_it_is() -> None:
    question = runtime_wording.V2_BINARY.ask(ROWS)
    size = int(question.headers["inference-header-content-length"])
    (tensor,) = json.loads(question.body[:size])["inputs"]
    assert tensor["parameters"] == {"binary_data_size": 32}
    assert np.frombuffer(question.body[size:]).tolist() == [1.5, 2.0, 3.0, 4.0]


def test_an_answer_in_binary_is_read() -> None:
    output = {"name": "y", "datatype": "INT64", "shape": [2], "parameters": {"binary_data_size": 16}}
    head = json.dumps({"outputs": [output]}).encode()
    body = head + np.array([7, 8], dtype="<i8").tobytes()
    headers = {"inference-header-content-length": str(len(head))}
    assert runtime_wording.V2_BINARY.read(body, headers) == [7, 8]


def test_rows_with_text_become_one_tensor_for_each_column() -> None:
    body = json.loads(runtime_wording.V2.ask(RECORDS).body)
    assert [(each["name"], each["datatype"]) for each in body["inputs"]] == [
        ("age", "FP64"),
        ("city", "BYTES"),
    ]


@pytest.mark.parametrize(
    ("values", "truth", "says"),
    [
        ([1, 2], [1, 2], None),
        ([[1], [2]], [1, 2], None),
        ([1.0000000001], [1.0], None),
        ([1.00001], [1.0], "row 0 is 1.00001"),
        ([1], [1, 2], "it has 1 values, not 2"),
        ([1, 3], [1, 2], "row 1 is 3"),
        (["a"], ["b"], "scikit-learn says 'b'"),
    ],
)
def test_an_answer_is_held_against_the_truth(values: list[Any], truth: list[Any], says: str | None) -> None:
    found = runtime_wording.differs(values, truth)
    assert found is None if says is None else says in str(found)


def test_a_load_with_a_refused_request_is_no_measurement() -> None:
    fine = wrk.Report(requests=10, microseconds=1_000_000, p50=1, p99=1, refused=0, broken=0)
    assert wrk.checked(fine) == fine
    refused = wrk.Report(requests=10, microseconds=1_000_000, p50=1, p99=1, refused=1, broken=0)
    with pytest.raises(RuntimeError, match="1 were answered with an error"):
        wrk.checked(refused)


def test_every_peer_has_its_lock_and_every_case_its_own_name() -> None:
    locks = {each.lock for each in runtime_servers.SERVERS if each.lock}
    assert locks == {path.stem for path in runtime_servers.PEERS.glob("*.txt")}
    assert locks == {path.stem for path in runtime_servers.PEERS.glob("*.in")}
    names = [each.name for each in (*runtime_servers.SERVERS, *runtime_cases.CASES)]
    assert len(set(names)) == len(names)
