# bank.py
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int] = mapped_column(default=0)


class Rates:
    async def of(self, currency: str) -> int:
        raise ConnectionError("a real service, which is not there in tests")


Sessions = async_sessionmaker[AsyncSession]


async def pay_in(session: AsyncSession, name: str, amount: int) -> None:
    account = await session.get_one(Account, name)
    account.balance += amount
    await session.commit()


async def balance(sessions: Sessions, name: str) -> int:
    async with sessions() as session:
        return (await session.get_one(Account, name)).balance


async def pay_in_abroad(
    sessions: Sessions, rates: Rates, name: str, amount: int, currency: str
) -> None:
    async with sessions() as session:
        account = await session.get_one(Account, name)
        account.balance += amount * await rates.of(currency)
        await session.commit()
