"""A limit of time neither forgets that it is over nor that its task was cancelled."""

import asyncio

import pytest

from llia_ros.display.deadline import deadline


@pytest.mark.parametrize('turns', range(6))
def test_a_task_that_is_cancelled_ends_though_what_it_waits_for_has_just_come(turns: int) -> None:
    come = asyncio.Event()

    async def wait() -> None:
        while True:
            async with deadline(10):
                await come.wait()
            come.clear()

    async def cancel() -> bool:
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        come.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=1)
        return task.cancelled()

    assert asyncio.run(cancel())


def test_what_takes_too_long_is_ended_and_without_a_limit_nothing_is() -> None:
    async def wait(seconds: float | None) -> None:
        async with deadline(seconds):
            await asyncio.sleep(0.1)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(wait(0.01))
    asyncio.run(wait(None))
