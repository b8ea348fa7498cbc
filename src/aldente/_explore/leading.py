"""`Leading`: a schedule as a strategy that makes do with a run that goes another way."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from aldente._simulation.choices import Options


class Leading:
    """Chooses as a schedule says as far as there is such an option, and then in stock order.

    Args:
        choices: the options.
        keys: who is to go on at the choices from a place on, whatever number the option has then;
            empty to go by numbers alone.
        start: that place.
    """

    def __init__(
        self, choices: Sequence[int], keys: Sequence[Hashable] = (), start: int = 0
    ) -> None:
        self._choices = choices
        self._keys = keys
        self._start = start
        self._next = start
        self._position = 0

    def start(self) -> bool:
        return True

    def choose(self, count: int, options: Options) -> int:
        position = self._position
        self._position = position + 1
        if self._keys and position >= self._start:
            return self._wanted(options)
        choice = self._choices[position] if position < len(self._choices) else 0
        return choice if choice < count else 0

    def _wanted(self, options: Options) -> int:
        keys = options.keys()
        # Whoever was next and is ready; who isn't ready was before, or will be later.
        for number in range(self._next, min(self._next + len(keys) + 1, len(self._keys))):
            if self._keys[number] in keys:
                self._next = number + 1
                return keys.index(self._keys[number])
        return 0

    def end(self) -> None:
        pass
