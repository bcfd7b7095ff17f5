"""A client that predicts steadily while a test does something to the service, and remembers every failure.

Traffic is bounded: it ends with the `with` block or after `MAX_SECONDS`, whichever comes first.
"""

import threading
import time
from types import TracebackType
from typing import Self

import httpx

MAX_SECONDS = 240
PAUSE_SECONDS = 0.01


class SteadyClient:
    """Posts one row to `/predict` again and again, without retries, half of the time on a fresh connection.

    Attributes:
        answered: number of answers with status 200.
        failures: what went wrong instead, in words.
    """

    def __init__(self, url: str) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(kept,)) for kept in (True, False)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, keeps_connection: bool) -> None:
        deadline = time.monotonic() + MAX_SECONDS
        client = httpx.Client(timeout=10)
        while not self._stop.wait(PAUSE_SECONDS) and time.monotonic() < deadline:
            if not keeps_connection:
                client.close()
                client = httpx.Client(timeout=10)
            try:
                answer = client.post(f"{self._url}/predict", json={"X": [[1.0]]})
            except httpx.HTTPError as error:
                self.failures.append(repr(error))
                continue
            if answer.status_code == 200:
                self.answered += 1
            else:
                self.failures.append(f"{answer.status_code} {answer.text[:200]}")
        client.close()
