"""`Instances`: numbers for the instances of classes, the same in all runs that begin alike.

An instance gets its number when its ``__init__``, written in Python, is called: the position of
that call among all such calls of the run. So two runs with the same choices give the same numbers
until their choices differ, whether or not anything else of them is observed. `Instances.signature`
shows whether they really did.

No number is given where it would say too much: to instances of classes with a ``__new__`` or a
metaclass of their own, which may return an old instance; to those that can't be referred to weakly;
and to those whose ``__init__`` the program calls by itself, which may be old too. Instances made
before the run have none either.
"""

from __future__ import annotations

import abc
import types
import weakref
from sys import getrefcount
from typing import Any, Final

from aldente._python_compat import identity_of

UNKNOWN: Final = object()

_PLAIN_METACLASSES = (type, abc.ABCMeta)

# What a class may say of an attribute without taking part in it.
_INERT = (type(None), bool, int, float, str, bytes, tuple, types.FunctionType)


class Instances:
    """The numbers of the instances of one run.

    It keeps no instance alive.

    Attributes:
        made: how many calls of ``__init__`` there were; each later number is greater.
        signature: the same in two runs whose calls up to now were of the same functions.
    """

    def __init__(self) -> None:
        self.made = 0
        self.signature = 0
        # By identity, which another instance may have later.
        self._numbers: dict[int, tuple[weakref.ref[object], int]] = {}
        self._instances: dict[int, weakref.ref[object]] = {}
        # The numbers of those that are known to share their attributes with no other.
        self._separate: set[int] = set()

    def begin_run(self) -> None:
        """Forget all numbers."""
        self.made = self.signature = 0
        self._numbers = {}
        self._instances = {}
        self._separate = set()

    def begin_step(self) -> None:
        """Look again, from now on, whether instances share their attributes."""
        self._separate = set()

    def note_init(self, code: types.CodeType, instance: object) -> None:
        """Note that an ``__init__`` begins."""
        self.made += 1
        place = (self.signature, code.co_filename, code.co_qualname, code.co_firstlineno)
        self.signature = hash(place)
        if self._entry(instance) is None and _is_made_by(code, type(instance)):
            self._keep(instance, self.made)

    def exclude(self, instance: object) -> None:
        """Give an instance no number, whose ``__init__`` the program calls by itself."""
        if self._entry(instance) is None:
            self._keep(instance, 0)

    def number_of(self, instance: object) -> int:
        """The number of an instance; 0 if it has none, or may share its attributes with another."""
        entry = self._numbers.get(identity_of(instance))
        if entry is None or entry[0]() is not instance:
            return 0
        number = entry[1]
        if number and number not in self._separate:
            if not _has_attributes_of_its_own(instance):
                return 0
            self._separate.add(number)
        return number

    def value_of(self, instance: object, name: str) -> object:
        """The value of an attribute of a numbered instance, found without running any code.

        Returns:
            The value; `UNKNOWN` if the attribute is not kept in the instance's dictionary.
        """
        if not self.number_of(instance) or not _is_plain(type(instance), name):
            return UNKNOWN
        return _attributes_of(instance).get(name, UNKNOWN)

    def instance_of(self, number: int) -> object:
        """The instance with a number; None if it is gone."""
        reference = self._instances.get(number)
        return None if reference is None else reference()

    def _entry(self, instance: object) -> tuple[weakref.ref[object], int] | None:
        entry = self._numbers.get(identity_of(instance))
        return entry if entry is not None and entry[0]() is instance else None

    def _keep(self, instance: object, number: int) -> None:
        try:
            reference = weakref.ref(instance)
        except TypeError:
            return
        self._numbers[identity_of(instance)] = (reference, number)
        self._instances[number] = reference


def _is_made_by(code: types.CodeType, kind: Any) -> bool:
    """Whether calling a class makes a new instance and begins with a function."""
    if type(kind) not in _PLAIN_METACLASSES or kind.__new__ is not object.__new__:
        return False
    initialise = _found_in_class(kind, "__init__")
    while type(initialise) is types.FunctionType:
        if initialise.__code__ is code:
            return True
        # A run wraps those of asyncio's primitives.
        initialise = initialise.__dict__.get("__wrapped__")
    return False


def _found_in_class(kind: type, name: str) -> Any:
    for each in kind.__mro__:
        if name in each.__dict__:
            return each.__dict__[name]
    return UNKNOWN


def _is_plain(kind: Any, name: str) -> bool:
    """Whether reading an attribute of an instance gives what is in its dictionary."""
    if kind.__getattribute__ is not object.__getattribute__:
        return False
    found = _found_in_class(kind, name)
    return found is UNKNOWN or type(found) in _INERT


def _attributes_of(instance: object) -> dict[str, Any]:
    """The dictionary of an instance; an empty one if it has none."""
    try:
        found = object.__getattribute__(instance, "__dict__")
    except AttributeError:
        return {}
    return found if type(found) is dict else {}


def _count_of_attributes(instance: object) -> int:
    """How many references there are to the dictionary of an instance, with the one of this call."""
    try:
        found = object.__getattribute__(instance, "__dict__")
    except AttributeError:
        return 0
    return getrefcount(found)


def _has_attributes_of_its_own(instance: object) -> bool:
    return _count_of_attributes(instance) <= _ALONE


class _SampleInstance:
    def __init__(self) -> None:
        self.items: list[object] = []


# With one reference, by the instance.
_ALONE = _count_of_attributes(_SampleInstance())
