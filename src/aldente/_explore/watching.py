"""`Watched`: a strategy as another one, whose choices are looked at."""

from __future__ import annotations

from collections.abc import Hashable

from aldente._asyncio_compat.stepping import WAKE_SLEEPER
from aldente._schedules import Choice
from aldente._simulation.choices import Chooser, Options
from aldente._strategies.switches import SwitchCounter


class Watched:
    """Chooses as another strategy does, and keeps who was chosen.

    Args:
        chooser: the other one.

    Attributes:
        choice: the last choice.
        keys: who was chosen, each time.
        switches: which of the choices are context switches away from stock order.
    """

    def __init__(self, chooser: Chooser) -> None:
        self.choice: Choice | None = None
        self.keys: list[Hashable] = []
        self.switches: list[int] = []
        self._chooser = chooser
        self._counter = SwitchCounter()
        self._callback = 0

    def start(self) -> bool:
        """As the other one."""
        return self._chooser.start()

    def choose(self, count: int, options: Options) -> int:
        """As the other one."""
        option = self._chooser.choose(count, options)
        is_switch = self._counter.note(option, options)
        number = len(self.keys)
        if is_switch:
            self.switches.append(number)
        self.keys.append(options.key(option))
        # By identity, so that no task lives longer because it is looked at. It is called next.
        self._callback = id(options.callback(option) or WAKE_SLEEPER)
        self.choice = Choice(number, option, options[0].who if option else "", is_switch)
        return option

    def end(self) -> None:
        """As the other one."""
        self._chooser.end()

    def has_led_to(self, callback: object) -> bool:
        """Whether the last choice was that something is called; true once for each choice."""
        if id(callback) != self._callback:
            return False
        self._callback = 0
        return True
