# test_overlaps.py
import asyncio

import aldente
import pytest


class Account:
    balance = 100

    async def withdraw(self, amount):
        if amount > self.balance:
            return False
        await asyncio.sleep(0)
        self.balance -= amount
        return True


def test_withdrawals_overlap():
    with pytest.raises(aldente.NotAtomic):
        aldente.check_class(Account, [lambda account: account.withdraw(60)])
