"""`aldente.search` on a cluster of dask.distributed; where that is installed, as for ``make compat``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import aldente
from tests.unit.test_shards import passes, sells_twice

distributed = pytest.importorskip("distributed")

# What dask and its parts warn of themselves is no matter of aldente's.
pytestmark = [pytest.mark.filterwarnings("default"), aldente.allow("blocking-call")]


@pytest.fixture(scope="module")
def executor() -> Iterator[Any]:
    """The executor of a cluster of two processes on this machine."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client.get_executor()


def test_the_same_result(executor: Any) -> None:
    """A search on the cluster gives what it gives again."""
    first, again = (aldente.search(passes, runs=120, executor=executor) for _ in range(2))
    assert first.runs == again.runs == 120
    assert first.distinct == again.distinct
    assert first.failure is None


def test_a_failure(executor: Any) -> None:
    """A failure of the cluster is shrunk and told in this process."""
    failure = aldente.search(sells_twice, executor=executor).failure
    assert failure is not None
    assert not failure.inexact
    with pytest.raises(AssertionError):
        aldente.replay(sells_twice, failure.token)


def test_threads_are_refused() -> None:
    """A cluster whose workers are threads of this process is refused."""
    options = {"n_workers": 1, "processes": False, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
        pytest.raises(aldente.InvalidSetting, match="threads of this process"),
    ):
        aldente.search(passes, executor=client.get_executor())
