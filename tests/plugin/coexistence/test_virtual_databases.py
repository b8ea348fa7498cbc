"""Drivers of databases on virtual time: a driver's thread is waited for, another process for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.coexistence.conftest import CheckSilent
from tests.plugin.conftest import RunProject

_VIRTUAL = "aldente_clock = virtual"


def test_aiosqlite(check_silent: CheckSilent) -> None:
    """Queries of aiosqlite among sleeps of an hour come in order, and its idle thread makes no sleep slow."""
    pytest.importorskip("aiosqlite")
    check_silent(
        ini=_VIRTUAL,
        conftest="""
        import aiosqlite
        import pytest

        @pytest.fixture
        async def connection(tmp_path):
            async with aiosqlite.connect(tmp_path / "test.db") as connection:
                await connection.execute("create table times (seconds real)")
                yield connection
        """,
        test_it="""
        import asyncio
        import time

        async def test_among_sleeps(connection, clock):
            began = time.perf_counter()
            for hours in range(20):
                await connection.execute("insert into times values (?)", [hours])
                await connection.commit()
                await asyncio.sleep(3600)
            async with connection.execute("select seconds from times order by seconds") as cursor:
                assert [row[0] async for row in cursor] == list(range(20))
            assert 20 * 3600 <= clock.elapsed < 20 * 3600 + 5
            assert time.perf_counter() - began < 30

        async def test_against_timers(connection, clock):
            # Every query is answered before the timer of a second that is set beside it.
            for _ in range(100):
                async with asyncio.timeout(1):
                    await connection.execute("select 1")
            assert clock.elapsed < 5

        async def test_idle(connection, clock):
            began = time.perf_counter()
            for _ in range(100):
                await asyncio.sleep(3600)
            # The thread's first silence is listened to for the whole patience, later ones are not.
            assert time.perf_counter() - began < 30
            assert 360_000 <= clock.elapsed < 360_002
        """,
        passed=3,
    )


def test_slow_queries_of_aiosqlite(check_silent: CheckSilent) -> None:
    """A query that computes or sleeps for long is waited for in real time; one that waits for anything else, for the patience."""
    pytest.importorskip("aiosqlite")
    check_silent(
        ini=_VIRTUAL,
        conftest="""
        import aiosqlite
        import pytest

        @pytest.fixture
        async def connection():
            async with aiosqlite.connect(":memory:") as connection:
                yield connection
        """,
        test_it="""
        import asyncio
        import select
        import time
        import aiosqlite
        import pytest
        import aldente

        COUNT = '''
            with recursive numbers(n) as (
                select 1 union all select n + 1 from numbers where n < 1000000
            ) select count(*) from numbers
        '''

        def compute(seconds):
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                pass
            return seconds

        def sleep(seconds):
            time.sleep(seconds)
            return seconds

        def wait(seconds):
            select.select([], [], [], seconds)
            return seconds

        async def scalar(connection, query):
            async with connection.execute(query) as cursor:
                return (await cursor.fetchone())[0]

        async def test_in_sqlite(connection, clock):
            async with asyncio.timeout(5):
                assert await scalar(connection, COUNT) == 1_000_000
            assert clock.elapsed < 5

        async def test_in_python(connection, clock):
            await connection.create_function("compute", 1, compute)
            async with asyncio.timeout(5):
                assert await scalar(connection, "select compute(0.3)") == 0.3
            assert clock.elapsed < 5

        async def test_asleep(connection, clock):
            await connection.create_function("sleep", 1, sleep)
            async with asyncio.timeout(5):
                assert await scalar(connection, "select sleep(0.3)") == 0.3
            assert clock.elapsed < 5

        @aldente.virtual_time(patience=1)
        async def test_waiting(connection, clock):
            # A thread that waits for anything else looks like one that waits for its next query.
            await connection.create_function("wait", 1, wait)
            async with asyncio.timeout(5):
                assert await scalar(connection, "select wait(0.3)") == 0.3
            assert clock.elapsed < 5

        async def test_waiting_for_longer_than_the_patience(connection, clock):
            await connection.create_function("wait", 1, wait)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await scalar(connection, "select wait(0.3)")
            assert clock.elapsed == 5
            # What comes after it is no deadlock: the thread waits in the middle of its work.
            assert await scalar(connection, "select 1") == 1

        async def test_two_waiting(connection, clock):
            await connection.create_function("wait", 1, wait)
            async with aiosqlite.connect(":memory:") as other:
                await other.create_function("wait", 1, wait)
                queries = scalar(connection, "select wait(0.3)"), scalar(other, "select wait(0.2)")
                assert await asyncio.gather(*queries) == [0.3, 0.2]
        """,
        passed=6,
    )


def test_deadlock_beside_aiosqlite(run_project: RunProject) -> None:
    """A thread that waits for its next query does not hide that nothing can happen any more."""
    pytest.importorskip("aiosqlite")
    result = run_project(
        ini=_VIRTUAL,
        subprocess=True,
        test_it="""
        import asyncio
        import aiosqlite

        async def test_it():
            async with aiosqlite.connect(":memory:") as connection:
                await connection.execute("select 1")
                await asyncio.Event().wait()
        """,
    )
    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines(["*Deadlock: nothing could happen any more*"])


def test_a_locked_database(check_silent: CheckSilent) -> None:
    """A connection that waits for the lock of a file gets it when the other's timer is over."""
    pytest.importorskip("aiosqlite")
    check_silent(
        ini=_VIRTUAL,
        test_it="""
        import asyncio
        import time
        import aiosqlite

        async def test_it(tmp_path, clock):
            began = time.perf_counter()
            path = tmp_path / "test.db"
            async with aiosqlite.connect(path) as first, aiosqlite.connect(path) as second:
                await first.execute("create table times (seconds real)")
                await first.execute("begin immediate")

                async def hold():
                    await asyncio.sleep(3600)
                    await first.commit()

                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(hold())
                    # SQLite itself waits in real time, for five seconds.
                    await second.execute("begin immediate")
                    await second.rollback()
            assert 3600 <= clock.elapsed < 3605
            assert time.perf_counter() - began < 4.5
        """,
        passed=1,
    )


def test_asyncpg(check_silent: CheckSilent, postgres: Path) -> None:
    """Prompt answers of PostgreSQL come before all timers; for later ones the patience decides."""
    pytest.importorskip("asyncpg")
    check_silent(
        ini=_VIRTUAL,
        conftest=f"""
        import asyncpg
        import pytest

        SERVER = {{"host": {str(postgres)!r}, "user": "aldente", "database": "postgres"}}

        @pytest.fixture
        async def connection():
            connection = await asyncpg.connect(**SERVER)
            yield connection
            await connection.close()

        @pytest.fixture
        async def pool():
            async with asyncpg.create_pool(min_size=1, max_size=4, **SERVER) as pool:
                yield pool
        """,
        test_it="""
        import asyncio
        import time
        import asyncpg
        import pytest
        import aldente
        from conftest import SERVER

        async def test_prompt(connection, clock):
            began = time.perf_counter()
            for number in range(50):
                async with asyncio.timeout(0.001):
                    assert await connection.fetchval("select $1::int", number) == number
            assert clock.elapsed == 0
            assert time.perf_counter() - began < 2

        async def test_among_sleeps(connection, clock):
            began = time.perf_counter()
            for hours in range(1, 11):
                assert await connection.fetchval("select $1::int", hours) == hours
                await asyncio.sleep(3600)
                assert clock.elapsed == 3600 * hours
            # Each sleep takes the patience.
            assert 10 * 0.05 <= time.perf_counter() - began < 30

        async def test_pool(pool, clock):
            began = time.perf_counter()
            queries = (pool.fetchval("select $1::int", n, timeout=5) for n in range(20))
            assert await asyncio.gather(*queries) == list(range(20))
            assert clock.elapsed == 0
            # Connections are closed after five minutes without use.
            await asyncio.sleep(3600)
            assert await pool.fetchval("select 1") == 1
            assert clock.elapsed == 3600
            assert time.perf_counter() - began < 30

        async def test_later_than_the_patience(connection, clock):
            began = time.perf_counter()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await connection.fetchval("select pg_sleep(3)")
            assert clock.elapsed == 5
            assert time.perf_counter() - began < 3

        @aldente.virtual_time(patience=1)
        async def test_more_patience(connection, clock):
            async with asyncio.timeout(5):
                assert await connection.fetchval("select 1 from pg_sleep(0.5)") == 1
            assert clock.elapsed == 0

        async def test_silent(connection, clock):
            began = time.perf_counter()
            with pytest.raises(TimeoutError):
                await connection.fetchval("select pg_sleep(60)", timeout=5)
            # asyncpg takes off the real time in which it has prepared the statement.
            assert 4.9 < clock.elapsed <= 5
            assert time.perf_counter() - began < 5
            assert await connection.fetchval("select 1") == 1

        async def test_without_timers(clock):
            # Nothing else can happen, so the answer is waited for, whatever it takes. By default
            # asyncpg has a timer of its own: it forgets a statement after five minutes.
            connection = await asyncpg.connect(**SERVER, statement_cache_size=0)
            assert await connection.fetchval("select 1 from pg_sleep(0.3)") == 1
            assert clock.elapsed == 0
            await connection.close()
        """,
        passed=7,
    )
