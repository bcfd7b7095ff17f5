"""Requests that are there share a call, nobody waits for one that isn't, and nobody pays for his neighbour."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from modelyard_runtime import dispatching, errors, metrics, scheduling
from modelyard_runtime.formats import model as models
from tests.unit.runtime import builders

SLOW = scheduling.Cost(0.005, 0.0)
Predict = Callable[[models.Table], Any]


def _dispatcher(
    model: builders.FakeModel, cost: scheduling.Cost = builders.FREE, max_rows: int = 64
) -> dispatching.Dispatcher:
    return dispatching.Dispatcher(model, cost, max_rows, metrics.Metrics())


def _model(predict: Predict | None = None, **changes: Any) -> builders.FakeModel:
    signature = builders.numbers(2)
    for name, value in changes.items():
        signature = msgspec.structs.replace(signature, **{name: value})
    return builders.FakeModel(signature, predict)


def _row(value: float, **changes: Any) -> models.Request:
    table = np.array([[value, 0.0]])
    request = models.table_request(table, frozenset({models.PREDICTION}))
    return msgspec.structs.replace(request, **changes)


async def _ask(dispatcher: dispatching.Dispatcher, *requests: models.Request) -> list[Any]:
    """Asks all at once; gives each one's prediction or error."""
    answers = await asyncio.gather(*map(dispatcher.predict, requests), return_exceptions=True)
    return [
        answer if isinstance(answer, BaseException) else answer[models.PREDICTION].tolist()
        for answer in answers
    ]


def _calls(model: builders.FakeModel) -> list[int]:
    return [len(table) for table in model.seen]


def test_what_arrives_in_one_turn_of_the_loop_is_one_call() -> None:
    model = _model()
    answers = asyncio.run(_ask(_dispatcher(model), *map(_row, range(10))))
    assert answers == [[float(value)] for value in range(10)]
    assert _calls(model) == [10]


def test_a_call_has_no_more_rows_than_it_may() -> None:
    model = _model()
    large = models.table_request(np.ones((9, 2)), frozenset({models.PREDICTION}))
    answers = asyncio.run(_ask(_dispatcher(model, max_rows=4), *map(_row, range(6)), large))
    assert answers == [*([float(value)] for value in range(6)), [2.0] * 9]
    assert _calls(model) == [4, 2, 9]


def test_switched_off_or_not_row_wise_every_request_has_its_own_call() -> None:
    for model, max_rows in ((_model(), 1), (_model(is_row_wise=False), 64)):
        answers = asyncio.run(_ask(_dispatcher(model, max_rows=max_rows), *map(_row, range(3))))
        assert answers == [[0.0], [1.0], [2.0]]
        assert _calls(model) == [1, 1, 1]


DIFFERENT: dict[str, dict[str, Any]] = {
    "other outputs": {"wanted": frozenset({models.PROBABILITY, models.PREDICTION})},
    "a parameter": {"parameters": {"seed": 1}},
    "another type of input": {"inputs": {models.TABLE: np.array([[1.0, 0.0]], dtype=object)}},
    "another width": {"inputs": {models.TABLE: np.array([[1.0, 0.0, 0.0]])}},
    "another name": {"inputs": {models.TABLE: np.array([[1.0, 0.0]]), "Y": np.array([[1.0]])}},
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_requests_that_differ_in_more_than_their_rows_share_nothing(case: str) -> None:
    model = _model()
    requests = [_row(1.0), _row(1.0, **DIFFERENT[case]), _row(1.0)]
    assert asyncio.run(_ask(_dispatcher(model), *requests)) == [[1.0]] * 3
    assert _calls(model) == [2, 1]


def test_equal_parameters_of_different_types_are_different() -> None:
    model = _model()
    requests = [_row(1.0, parameters={"n": value}) for value in (1, True, 1.0, 1)]
    asyncio.run(_ask(_dispatcher(model), *requests))
    assert _calls(model) == [2, 1, 1]


@pytest.mark.parametrize("cost", [builders.FREE, SLOW])
def test_a_bad_row_fails_its_own_request_only(cost: scheduling.Cost) -> None:
    def refuse_negative(table: models.Table) -> Any:
        if (table < 0).any():
            raise errors.InvalidInput(f"negative among {len(table)}")
        return table.sum(axis=1)

    model = _model(refuse_negative)
    answers = asyncio.run(_ask(_dispatcher(model, cost), *map(_row, [1, 2, -3, 4, 5, 6, 7, 8])))
    refused = answers.pop(2)
    assert answers == [[1.0], [2.0], [4.0], [5.0], [6.0], [7.0], [8.0]]
    assert str(refused) == "negative among 1"


@pytest.mark.parametrize("cost", [builders.FREE, SLOW])
def test_whatever_a_model_raises_reaches_who_asked_and_nobody_else(cost: scheduling.Cost) -> None:
    async def scenario(error: Exception) -> None:
        def fail(table: models.Table) -> Any:
            if table[0, 0] == 1:
                raise error
            return table.sum(axis=1)

        dispatcher = _dispatcher(_model(fail), cost)
        [answer] = await _ask(dispatcher, _row(1))
        assert isinstance(answer, errors.ModelFailed if isinstance(error, StopIteration) else type(error))
        assert await _ask(dispatcher, _row(2)) == [[2.0]]

    for error in (errors.ModelFailed("x"), KeyError("y"), StopIteration()):
        asyncio.run(scenario(error))


def test_a_model_that_loses_rows_is_asked_one_by_one() -> None:
    model = _model(lambda table: table.sum(axis=1)[:1])
    assert asyncio.run(_ask(_dispatcher(model), _row(1), _row(2))) == [[1.0], [2.0]]
    assert _calls(model) == [2, 1, 1]


def test_the_answers_are_views_of_one_result() -> None:
    results: list[Any] = []

    def remember(table: models.Table) -> Any:
        results.append(table.sum(axis=1))
        return results[-1]

    async def scenario() -> None:
        dispatcher = _dispatcher(_model(remember))
        answers = await asyncio.gather(*(dispatcher.predict(_row(value)) for value in (1, 2)))
        assert all(answer[models.PREDICTION].base is results[0] for answer in answers)

    asyncio.run(scenario())


class Gate:
    """A slow model that computes when it is let."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.threads: set[threading.Thread] = set()
        self.model = _model(self._compute)

    def _compute(self, table: models.Table) -> Any:
        self.threads.add(threading.current_thread())
        assert self.open.wait(30)
        return table.sum(axis=1)


def _with_gate(scenario: Callable[[Gate, dispatching.Dispatcher], Awaitable[None]], **changes: Any) -> None:
    async def run() -> None:
        gate = Gate()
        await scenario(gate, _dispatcher(gate.model, SLOW, **changes))

    asyncio.run(run())


async def _turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_arrives_while_the_thread_is_busy_is_its_next_call() -> None:
    async def scenario(gate: Gate, dispatcher: dispatching.Dispatcher) -> None:
        first = asyncio.ensure_future(dispatcher.predict(_row(0)))
        await _turn()
        others = [asyncio.ensure_future(dispatcher.predict(_row(value))) for value in range(1, 6)]
        await _turn()
        assert dispatcher.waiting == 5
        gate.open.set()
        await asyncio.gather(first, *others)
        assert _calls(gate.model) == [1, 5]
        assert len(gate.threads) == 1
        assert threading.main_thread() not in gate.threads
        assert dispatcher.waiting == 0

    _with_gate(scenario)


def test_a_full_queue_refuses_with_a_time_to_come_back() -> None:
    async def scenario(gate: Gate, dispatcher: dispatching.Dispatcher) -> None:
        dispatcher.cost = scheduling.Cost(1.0, 0.0)
        held = [asyncio.ensure_future(dispatcher.predict(_row(0)))]
        await _turn()
        held += [asyncio.ensure_future(dispatcher.predict(_row(0))) for _ in range(scheduling.ALWAYS_WAITING)]
        await _turn()
        with pytest.raises(errors.Overloaded, match="8 requests are waiting") as caught:
            await dispatcher.predict(_row(0))
        assert caught.value.retry_after_seconds in (4, 5)
        gate.open.set()
        await asyncio.gather(*held)

    _with_gate(scenario, max_rows=1)


def test_a_caller_that_went_away_is_not_computed_for() -> None:
    async def scenario(gate: Gate, dispatcher: dispatching.Dispatcher) -> None:
        first = asyncio.ensure_future(dispatcher.predict(_row(0)))
        await _turn()
        gone, stays = (asyncio.ensure_future(dispatcher.predict(_row(value))) for value in (1, 2))
        await _turn()
        gone.cancel()
        await _turn()
        assert dispatcher.waiting == 1
        gate.open.set()
        await asyncio.gather(first, stays)
        assert [table[:, 0].tolist() for table in gate.model.seen] == [[0.0], [2.0]]

    _with_gate(scenario)


def test_a_deadline_that_passes_in_the_queue_is_told_at_once_and_saves_the_work() -> None:
    async def scenario(gate: Gate, dispatcher: dispatching.Dispatcher) -> None:
        first = asyncio.ensure_future(dispatcher.predict(_row(0)))
        await _turn()
        with pytest.raises(errors.DeadlineExceeded):
            await dispatcher.predict(_row(1, deadline=time.monotonic() + 0.02))
        assert not first.done()
        gate.open.set()
        await first
        with pytest.raises(errors.DeadlineExceeded):
            await dispatcher.predict(_row(1, deadline=time.monotonic() - 1))
        assert await _ask(dispatcher, _row(2, deadline=time.monotonic() + 30)) == [[2.0]]
        assert [table[:, 0].tolist() for table in gate.model.seen] == [[0.0], [2.0]]

    _with_gate(scenario)


def test_different_kinds_of_requests_take_turns() -> None:
    async def scenario(gate: Gate, dispatcher: dispatching.Dispatcher) -> None:
        first = asyncio.ensure_future(dispatcher.predict(_row(0)))
        await _turn()
        many = [asyncio.ensure_future(dispatcher.predict(_row(1))) for _ in range(4)]
        other = asyncio.ensure_future(dispatcher.predict(_row(9, parameters={"seed": 1})))
        await _turn()
        gate.open.set()
        await asyncio.gather(first, other, *many)
        assert [table[:, 0].tolist() for table in gate.model.seen] == [[0.0], [1.0, 1.0], [9.0], [1.0, 1.0]]

    _with_gate(scenario, max_rows=2)


def test_a_long_line_of_fast_calls_lets_others_in_between() -> None:
    def take_a_while(table: models.Table) -> Any:
        time.sleep(2 * scheduling.INLINE_SECONDS)
        return table.sum(axis=1)

    async def scenario() -> None:
        model = _model(take_a_while)
        dispatcher = _dispatcher(model, max_rows=1)
        asked = [asyncio.ensure_future(dispatcher.predict(_row(0))) for _ in range(2)]
        await asyncio.sleep(0)  # lets them ask
        await asyncio.sleep(0)  # the first call
        assert len(model.seen) == 1
        await asyncio.gather(*asked)

    asyncio.run(scenario())
