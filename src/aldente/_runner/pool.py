"""Makes event loops cheaply, by reusing those that behave exactly like new ones.

Making and closing an event loop takes longer than running a small test on it. After most tests the
loop is exactly as it was when it was made, and only its runner refers to it: then it serves the
next test too. If anything is different, it is closed as usual.
"""

from __future__ import annotations

import asyncio
import collections
import copy
import os
import selectors
import sys
import weakref
from collections.abc import Callable, Sized
from typing import NamedTuple

from aldente import _asyncio_compat
from aldente._checked_pythons import is_checked
from aldente._own_errors import containing

Loop = asyncio.AbstractEventLoop


class LoopPool:
    """Makes the event loops that `asyncio.new_event_loop` would make, and takes them back.

    Call it to have a loop; offer it with `keep` when it is no longer needed; call `close` at the
    end.

    >>> pool = LoopPool()
    >>> box = [pool()]
    >>> box[0].run_until_complete(asyncio.sleep(0))
    >>> pool.keep(box)
    True
    >>> pool.close()
    """

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        # By process, because a child process must not use the loops of its parent: they share
        # the epoll instance and the self-pipe.
        self._spares: dict[int, list[Loop]] = {}

    def __call__(self) -> Loop:
        """An event loop that is new or like new; of another kind when a policy makes it."""
        is_known = sys.platform != "win32" and is_checked()
        if not is_known or not _asyncio_compat.is_policy_untouched():
            return asyncio.new_event_loop()
        spares = self._spares.get(os.getpid())
        if spares:
            return spares.pop()
        selector = selectors.DefaultSelector()
        box: list[Loop] = [asyncio.SelectorEventLoop(selector)]
        self._records[id(box[0])] = _record(box, selector)
        return box[0]

    def keep(self, box: list[Loop]) -> bool:
        """Keep a loop for the next call, if it is like new.

        Args:
            box: a list with the loop in it, which is emptied if it is kept. The caller has no other
                reference, which would make the reuse visible.

        Returns:
            Whether it was kept; otherwise the caller closes it.
        """
        record = self._records.get(id(box[0]))
        if record is not None and record.is_like_new(box):
            self._spares.setdefault(record.process, []).append(box.pop())
            return True
        self._records.pop(id(box[0]), None)
        return False

    def close(self) -> None:
        """Close the unused loops."""
        for loop in self._spares.pop(os.getpid(), ()):
            self._records.pop(id(loop), None)
            loop.close()


class _Record(NamedTuple):
    """The state of a loop when it was made.

    Attributes:
        process: the process that made it.
        registrations: what its selector watches.
        attributes: copies of the attributes of the loop.
        containers: the containers in attributes that can't be copied; they were empty.
        descriptors: returns the descriptors of its selector and its self-pipe, or -1 once they are
            closed.
        references: its reference count, including references from its own parts.
    """

    process: int
    registrations: Sized
    attributes: dict[str, object]
    containers: list[Sized]
    descriptors: list[Callable[[], int]]
    references: int

    # A test may have given the loop attributes that can't be compared.
    @containing("checking whether a loop can be used again", False)
    def is_like_new(self, box: list[Loop]) -> bool:
        """Whether the loop in the box behaves exactly like a new one."""
        # No variable may hold the loop here, which would be one more reference.
        return (
            sys.getrefcount(box[0]) <= self.references
            and type(box[0]) is asyncio.SelectorEventLoop
            and weakref.getweakrefcount(box[0]) == 0
            and vars(box[0]) == self.attributes
            and not any(self.containers)
            and min([fileno() for fileno in self.descriptors]) >= 0
            # The self-pipe is the only descriptor that it watches.
            and len(self.registrations) == 1
        )


# Containers whose copies are equal to them.
_COPIED = (dict, list, set, collections.deque)


def _record(box: list[Loop], selector: selectors.BaseSelector) -> _Record:
    attributes = vars(box[0])
    return _Record(
        process=os.getpid(),
        registrations=selector.get_map(),
        attributes={
            name: copy.copy(value) if isinstance(value, _COPIED) else value
            for name, value in attributes.items()
        },
        containers=[
            # The set or dictionary inside a weak one, whose len() is ten times as fast.
            getattr(value, "data", value)
            for value in attributes.values()
            if isinstance(value, Sized) and not isinstance(value, _COPIED)
        ],
        descriptors=[value.fileno for value in attributes.values() if hasattr(value, "fileno")],
        references=sys.getrefcount(box[0]),
    )
