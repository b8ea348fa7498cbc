# bank_fixed.py
from sqlalchemy import update

from bank import Account, Rates, Sessions


async def pay_in_abroad(
    sessions: Sessions, rates: Rates, name: str, amount: int, currency: str
) -> None:
    amount *= await rates.of(currency)
    add = update(Account).where(Account.name == name).values(balance=Account.balance + amount)
    async with sessions.begin() as session:
        await session.execute(add)
