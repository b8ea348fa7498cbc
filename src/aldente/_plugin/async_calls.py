"""The hooks that run async tests; a plugin of its own, registered if a suite has any.

A hook around every call would slow down sync suites for nothing.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from aldente._plugin import shared_fixtures
from aldente._plugin.explore.state import explored_test
from aldente._plugin.ownership import involves_loops, is_own_async_test
from aldente._plugin.run import tests


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    __tracebackhide__ = True
    if not is_own_async_test(pyfuncitem):
        return (yield)
    explored = explored_test(pyfuncitem)
    if explored is not None:
        # Known from now on, when the function looks like that of a sync test.
        involves_loops(pyfuncitem)
        # Not as an attribute of its package, which may be stale: a run of pytester in this process
        # may have removed the module from sys.modules.
        from aldente._plugin.explore.test import make_synchronous

        restore = make_synchronous(pyfuncitem, explored)
    else:
        restore = tests.make_synchronous(pyfuncitem)
    try:
        return (yield)
    finally:
        restore()


# After all fixtures of the test are set up.
@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    __tracebackhide__ = True
    shared_fixtures.check(item)
