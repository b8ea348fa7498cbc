# test_seats.py
import aldente
import anyio


class Seats:
    left = 1

    async def book(self):
        if self.left:
            await anyio.sleep(0.01)  # the payment
            self.left -= 1


@aldente.explore
async def test_never_below_zero():
    seats = Seats()

    async def customer(pause):
        await anyio.sleep(pause)
        await seats.book()

    async with anyio.create_task_group() as group:
        group.start_soon(customer, 0.1)
        group.start_soon(customer, 0.115)
    assert seats.left >= 0
