"""An application that is made with the first request for it."""

import asyncio
import threading
from typing import Any

from modelyard_runtime.http import asgi, later


async def _nothing() -> asgi.Message:
    return {}


def test_it_is_made_once_and_the_loop_goes_on_meanwhile() -> None:
    may_go_on, builders = threading.Event(), []

    async def application(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        del receive
        await send({"type": scope["type"]})

    def build() -> asgi.Application:
        builders.append(threading.current_thread())
        assert may_go_on.wait(10)
        return application

    async def story() -> list[Any]:
        sent: list[Any] = []

        async def send(message: asgi.Message) -> None:
            sent.append(message["type"])

        made = later.Later(build)
        asked = [asyncio.ensure_future(made({"type": name}, _nothing, send)) for name in ("one", "two")]
        await asyncio.sleep(0)
        # Only a loop that isn't held up comes here before the application is there.
        assert not sent
        may_go_on.set()
        await asyncio.gather(*asked)
        await made({"type": "three"}, _nothing, send)
        return sent

    assert sorted(asyncio.run(story())) == ["one", "three", "two"]
    assert len(builders) == 1
    assert builders[0] is not threading.main_thread()
