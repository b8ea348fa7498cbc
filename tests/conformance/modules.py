"""Which modules of the interpreter's own asyncio tests run on which of aldente's loops, or why not.

Each module that any version of Python has is named here, so that one that is new is looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NamedTuple

# How many tests of a module at least make a loop of the kind and pass, by the first version of
# Python on which that is so. There are more by a tenth or so; the rest of a module tests what is
# simulated. Counted on CPython 3.11.7, 3.12.1, 3.13.0, 3.14.8 and 3.15.0.
Least = Mapping[tuple[int, int], int]


class Module(NamedTuple):
    """A module of the interpreter's tests of asyncio.

    Attributes:
        name: its name.
        virtual: how many of its tests run on virtual time; or why none does.
        simulated: how many run on the simulated loop in stock order; or why none does.
        random: how many run on it in random order; or why none does.
    """

    name: str
    virtual: Least | str
    simulated: Least | str
    random: Least | str

    def least(self, kind: str) -> int | None:
        """How many of its tests run at least on a kind of loop.

        None when none does on this version of Python.
        """
        counts: Least | str = getattr(self, kind)
        if isinstance(counts, str):
            return None
        known = [since for since in counts if since <= sys.version_info[:2]]
        return counts[max(known)] if known else None


NO_LOOP = "makes no loop"
OTHER_SYSTEM = "tests the loops of Windows, which aldente does not replace"
OUTSIDE = "tests pipes, processes or signals, which the simulated loop refuses"
SELECTOR = "tests how asyncio's loop uses its selector, and the simulated loop has none"
THREADS = "has threads as the peers of its sockets, and the schedule does not control them"
NO_ORDER = "has hardly a test with more than one task that needs nothing outside"


def _on_all(name: str, least: Least) -> Module:
    return Module(name, least, least, least)


def _on_virtual(name: str, least: Least) -> Module:
    return Module(name, least, OUTSIDE, OUTSIDE)


def _on_simulated(name: str, least: Least) -> Module:
    return Module(name, least, least, THREADS)


def _on_none(name: str, reason: str) -> Module:
    return Module(name, reason, reason, reason)


# The slowest first.
MODULES = (
    _on_virtual("test_subprocess", {(3, 11): 105, (3, 14): 76}),
    Module("test_events", {(3, 11): 210, (3, 14): 243}, {(3, 11): 52}, NO_ORDER),
    _on_all("test_tasks", {(3, 11): 780, (3, 14): 910}),
    _on_simulated("test_ssl", {(3, 11): 19}),
    Module("test_sendfile", {(3, 11): 54}, {(3, 11): 18}, THREADS),
    Module("test_sock_lowlevel", {(3, 11): 35}, {(3, 11): 12}, THREADS),
    Module("test_streams", {(3, 11): 60}, {(3, 11): 60, (3, 13): 65}, {(3, 11): 44}),
    Module("test_base_events", {(3, 11): 51}, {(3, 11): 45}, NO_ORDER),
    _on_all("test_free_threading", {(3, 14): 20}),
    _on_simulated("test_buffered_proto", {(3, 11): 1}),
    _on_all("test_context", {(3, 14): 1}),
    _on_all("test_eager_task_factory", {(3, 12): 35, (3, 14): 43}),
    _on_all("test_futures", {(3, 11): 137, (3, 14): 160}),
    _on_all("test_futures2", {(3, 11): 3, (3, 12): 6}),
    Module("test_graph", {(3, 14): 25}, {(3, 14): 12}, {(3, 14): 12}),
    Module("test_locks", {(3, 11): 63}, {(3, 11): 63}, {(3, 11): 47}),
    _on_all("test_pep492", {(3, 11): 9}),
    _on_none("test_proactor_events", OTHER_SYSTEM),
    _on_none("test_protocols", NO_LOOP),
    Module("test_queues", {(3, 11): 40, (3, 13): 53}, {(3, 11): 40, (3, 13): 53}, {(3, 11): 37}),
    _on_all("test_runners", {(3, 11): 21}),
    Module("test_selector_events", {(3, 11): 13}, SELECTOR, SELECTOR),
    _on_simulated("test_server", {(3, 11): 2, (3, 13): 10}),
    _on_simulated("test_server_context", {(3, 15): 11}),
    _on_simulated("test_sslproto", {(3, 11): 19}),
    _on_all("test_staggered", {(3, 13): 4}),
    _on_all("test_taskgroups", {(3, 11): 30, (3, 14): 83, (3, 15): 110}),
    _on_all("test_threads", {(3, 11): 5}),
    _on_all("test_timeouts", {(3, 11): 29}),
    _on_none("test_tools", NO_LOOP),
    _on_none("test_transports", NO_LOOP),
    _on_virtual("test_unix_events", {(3, 11): 42}),
    _on_all("test_waitfor", {(3, 11): 14}),
    _on_none("test_windows_events", OTHER_SYSTEM),
    _on_none("test_windows_utils", OTHER_SYSTEM),
)


def modules_for(kind: str) -> dict[str, int]:
    """The modules that run on a kind of loop here, with how many of their tests do at least."""
    known = ((module.name, module.least(kind)) for module in MODULES)
    return {name: least for name, least in known if least is not None}
