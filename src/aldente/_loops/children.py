"""Whether processes that this one has started may still do something."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from aldente import _python_compat


def may_act() -> bool:
    """Whether a child process may do something that is heard here, such as to connect.

    One that has ended does not, also before this process has waited for it. Nor do the helpers that
    `multiprocessing` keeps until this process ends, other than by the processes that they start.
    Only Linux tells which children there are; elsewhere each of them counts.
    """
    if not hasattr(os, "waitid"):
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    try:
        children = list(_living_children_of("self"))
        helpers = _python_compat.helper_processes()
        return any(
            child not in helpers or any(_living_children_of(str(child))) for child in children
        )
    except OSError:
        return True


def _living_children_of(process: str) -> Iterator[int]:
    for thread in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{thread}/children") as file:
            yield from (int(child) for child in file.read().split() if _is_living(child))


def _is_living(process: str) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            # After the name of its program, which may have parentheses of its own.
            state = re.search(r".*\) (.)", file.read(), re.DOTALL)
    except FileNotFoundError:
        return False
    # What has ended is a zombie until its parent waits for it.
    return state is None or state[1] not in "ZX"
