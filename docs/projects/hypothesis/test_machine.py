# test_machine.py
import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule


class Account:
    def __init__(self):
        self.balance = 0

    async def deposit(self, amount):
        await asyncio.sleep(0)
        self.balance += amount

    async def withdraw(self, amount):
        if amount > self.balance:
            return False
        await asyncio.sleep(0)
        self.balance -= amount
        return True


class AccountMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.account = Account()

    def teardown(self):
        self.runner.close()

    @rule(amount=st.integers(1, 100))
    def deposit(self, amount):
        self.runner.run(self.account.deposit(amount))

    @rule(amount=st.integers(1, 100))
    def withdraw(self, amount):
        before = self.account.balance
        assert self.runner.run(self.account.withdraw(amount)) == (amount <= before)

    @invariant()
    def is_covered(self):
        assert self.account.balance >= 0


TestAccount = AccountMachine.TestCase
TestAccount.settings = settings(max_examples=10, stateful_step_count=10, deadline=None)
