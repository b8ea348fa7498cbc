# test_poll.py
import aldente
import anyio
import pytest


async def poll(ask, every):
    with anyio.fail_after(60):
        while not await ask():
            await anyio.sleep(every)


@aldente.virtual_time
async def test_answer_comes(clock):
    answers = iter([False, False, True])

    async def ask():
        return next(answers)

    await poll(ask, every=20)
    assert clock.elapsed == 40


@aldente.virtual_time
async def test_no_answer_comes(clock):
    async def ask():
        return False

    with pytest.raises(TimeoutError):
        await poll(ask, every=7)
    assert clock.elapsed == 60
