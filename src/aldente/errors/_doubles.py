"""The exceptions of doubles."""

from __future__ import annotations

from collections.abc import Sequence

from aldente.errors._base import AldenteError


class NoMoreAnswers(AldenteError, AssertionError):
    """A double got more calls than it has answers.

    Args:
        double: the name of the double.
        call: the call that has no answer.
        answered: the calls that have had one, in their order.

    >>> print(NoMoreAnswers("price", "price('jam')", ["price('tea')"]))
    price('jam') has no answer: returns_each() has 1 answer, which was used:
      1  price('tea')
    Fix: give returns_each() one answer for each call, or use returns() for all of them.
    """

    def __init__(self, double: str, call: str, answered: Sequence[str]) -> None:
        self.double = double
        self.call = call
        self.answered = tuple(answered)
        super().__init__(double, call, self.answered)

    def __str__(self) -> str:
        count = len(self.answered)
        answers = f"{count} answer{'s' * (count != 1)}"
        lines = [f"  {number}  {call}" for number, call in enumerate(self.answered, 1)]
        used = ", which was used:" if count == 1 else ", which were all used:" if count else "."
        return "\n".join(
            [
                f"{self.call} has no answer: returns_each() has {answers}{used}",
                *lines,
                "Fix: give returns_each() one answer for each call, or use returns() for all of "
                "them.",
            ]
        )


class NoAnswer(AldenteError, AssertionError):
    """A double has answers by argument, but none for the arguments of a call.

    Args:
        call: the call.
        known: the calls that have answers.

    >>> print(NoAnswer("price('jam')", ["price('tea')"]))
    price('jam') has no answer: every when() is for other arguments:
      price('tea')
    Fix: add a when() for these arguments, or set the answer of all other calls with returns().
    """

    def __init__(self, call: str, known: Sequence[str]) -> None:
        self.call = call
        self.known = tuple(known)
        super().__init__(call, self.known)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.call} has no answer: every when() is for other arguments:",
                *(f"  {call}" for call in self.known),
                (
                    "Fix: add a when() for these arguments, or set the answer of all other calls "
                    "with returns()."
                ),
            ]
        )


class NotHeld(AldenteError):
    """A test tried to release calls that do not wait at the gate.

    Args:
        double: the name of the double.
        wanted: what it tried to release, in words.
        waiting: the calls that wait.

    >>> print(NotHeld("price", "2 calls", ["price('tea')"]))
    2 calls can't be released from the gate of price. Waiting there:
      price('tea')
    Fix: first await gate.arrived(n), which waits until n calls have reached the gate.
    """

    def __init__(self, double: str, wanted: str, waiting: Sequence[str]) -> None:
        self.double = double
        self.wanted = wanted
        self.waiting = tuple(waiting)
        super().__init__(double, wanted, self.waiting)

    def __str__(self) -> str:
        waits = "Waiting there:" if self.waiting else "No call waits there."
        return "\n".join(
            [
                f"{self.wanted} can't be released from the gate of {self.double}. {waits}",
                *(f"  {call}" for call in self.waiting),
                (
                    "Fix: first await gate.arrived(n), which waits until n calls have reached the "
                    "gate."
                ),
            ]
        )


class DoubleMisused(AldenteError, AssertionError):
    """A patch ended with findings, such as an unused answer.

    Args:
        findings: the texts of the findings, each with its place and its fix.

    >>> print(DoubleMisused(["never-awaited: ...", "unused-answer: ..."]))
    never-awaited: ...
    <BLANKLINE>
    unused-answer: ...
    """

    def __init__(self, findings: Sequence[str]) -> None:
        self.findings = tuple(findings)
        super().__init__(self.findings)

    def __str__(self) -> str:
        return "\n\n".join(self.findings)


class _NoSuch(AldenteError):
    def __init__(self, target: str, missing: str, similar: Sequence[str]) -> None:
        self.target = target
        self.missing = missing
        self.similar = tuple(similar)
        super().__init__(target, missing, self.similar)

    def __str__(self) -> str:
        meant = " or ".join(map(repr, self.similar))
        question = f" Did you mean {meant}?" if meant else ""
        return (
            f"{self.target!r} can't be patched: {self.missing}.{question}\n"
            "Patching a name that no code uses replaces nothing, and the test would still pass."
        )


class NoSuchTarget(_NoSuch, AttributeError):
    """The target of a patch does not exist.

    Args:
        target: the target, as the test gave it.
        missing: what does not exist, in words.
        similar: what exists and is named nearly so.

    >>> print(NoSuchTarget("shop.prise", "the module 'shop' has no 'prise'", ["price"]))
    'shop.prise' can't be patched: the module 'shop' has no 'prise'. Did you mean 'price'?
    Patching a name that no code uses replaces nothing, and the test would still pass.
    """


class NoSuchModule(_NoSuch, ModuleNotFoundError):
    """The module of the attribute to patch does not exist.

    Args:
        target: the target, as the test gave it.
        missing: what does not exist, in words.
        similar: what exists and is named nearly so.

    >>> print(NoSuchModule("shpo.price", "there is no module 'shpo'", ["shop"]))
    'shpo.price' can't be patched: there is no module 'shpo'. Did you mean 'shop'?
    Patching a name that no code uses replaces nothing, and the test would still pass.
    """


class PatchedElsewhere(AldenteError):
    """A patch replaces a name where it is defined, but others have imported it by name.

    Args:
        target: the target, as the test gave it.
        used_as: the names under which they use it.

    >>> print(PatchedElsewhere("client.fetch", ["service.fetch"]))
    Patching 'client.fetch' would replace nothing where it is used: it is imported by name as
      service.fetch
    'from module import name' copies the reference: code that uses the copy keeps the real object.
    Fix: aldente.patch("service.fetch"); or, if only 'client.fetch' is to be replaced,
    aldente.patch("client.fetch", only_here=True).
    """

    def __init__(self, target: str, used_as: Sequence[str]) -> None:
        self.target = target
        self.used_as = tuple(used_as)
        super().__init__(target, self.used_as)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"Patching {self.target!r} would replace nothing where it is used: it is imported "
                "by name as",
                *(f"  {name}" for name in self.used_as),
                "'from module import name' copies the reference: code that uses the copy keeps "
                "the real object.",
                f'Fix: aldente.patch("{self.used_as[0]}"); or, if only {self.target!r} is to be '
                "replaced,",
                f'aldente.patch("{self.target}", only_here=True).',
            ]
        )


class SyncDouble(AldenteError, TypeError):
    """The replacement of an awaited function can't be awaited.

    Args:
        target: the target, as the test gave it.
        double: the replacement, in words.

    >>> print(SyncDouble("client.fetch", "a MagicMock"))
    'client.fetch' is a coroutine function, and a MagicMock can't be awaited in its place.
    Code that awaits it would fail with a TypeError, or the test would not notice that no code does.
    Fix: leave out the replacement, and aldente.patch() makes a double that is awaited; or give a
    coroutine function, or aldente.Double().calls(function) of one that gives something to await.
    """

    def __init__(self, target: str, double: str) -> None:
        self.target = target
        self.double = double
        super().__init__(target, double)

    def __str__(self) -> str:
        return (
            f"{self.target!r} is a coroutine function, and {self.double} can't be awaited in its "
            "place.\n"
            "Code that awaits it would fail with a TypeError, or the test would not notice that no "
            "code does.\n"
            "Fix: leave out the replacement, and aldente.patch() makes a double that is awaited; "
            "or give a\ncoroutine function, or aldente.Double().calls(function) of one that gives "
            "something to await."
        )


for _kind in list(vars().values()):
    if isinstance(_kind, type) and _kind.__module__ == __name__:
        # The module under which users see and catch them.
        _kind.__module__ = "aldente.errors"
