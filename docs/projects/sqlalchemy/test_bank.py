# test_bank.py
import pytest
from sqlalchemy.exc import NoResultFound

from bank import Account, pay_in


@pytest.mark.parametrize("amount", [1, 10])
async def test_pay_in(session, amount):
    await pay_in(session, "ann", amount)
    assert (await session.get_one(Account, "ann")).balance == amount


async def test_no_account(session):
    with pytest.raises(NoResultFound):
        await pay_in(session, "bob", 1)
