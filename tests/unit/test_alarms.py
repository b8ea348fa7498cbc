"""What wakes the watchdog: regularly, or when a run has gone on for a moment."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import pytest

from aldente._rules import watchdog

has_timers = pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info < (3, 13), reason="no timers in this Python"
)


@pytest.fixture(
    params=["RegularAlarm", pytest.param("TimerAlarm", marks=has_timers)],
)
def alarm(request: pytest.FixtureRequest) -> Iterator[watchdog.ThreadAlarm]:
    """An alarm of each kind; nobody waits for it yet."""
    kind = getattr(watchdog, request.param)
    alarm: watchdog.ThreadAlarm = kind()
    yield alarm
    alarm.close()


def test_it_rings_when_a_run_has_gone_on(alarm: watchdog.ThreadAlarm) -> None:
    """Not before the interval is over."""
    before = time.monotonic()
    assert alarm.expect(is_only=True)
    alarm.wait()
    assert time.monotonic() - before >= watchdog.INTERVAL


def test_it_rings_again(alarm: watchdog.ThreadAlarm) -> None:
    """After another interval, as often as it is asked to."""
    for _ in range(3):
        before = time.monotonic()
        alarm.repeat()
        alarm.wait()
        assert time.monotonic() - before >= watchdog.INTERVAL


def test_it_rings_when_it_is_stopped(alarm: watchdog.ThreadAlarm) -> None:
    """Although nothing has been expected."""
    assert alarm.stop()
    alarm.wait()


def test_the_best_there_is() -> None:
    """Timers where there are any."""
    alarm = watchdog.make_alarm()
    is_best = sys.platform == "linux" and sys.version_info >= (3, 13)
    assert type(alarm).__name__ == ("TimerAlarm" if is_best else "RegularAlarm")
    alarm.close()


if sys.platform == "linux" and sys.version_info >= (3, 13):

    @pytest.fixture
    def timer() -> Iterator[watchdog.TimerAlarm]:
        """A timer."""
        timer = watchdog.TimerAlarm()
        yield timer
        timer.close()

    def time_left(timer: watchdog.TimerAlarm) -> float:
        assert timer._descriptor is not None
        return os.timerfd_gettime(timer._descriptor)[0]

    def test_a_run_beside_others_puts_off_no_ring(
        timer: watchdog.TimerAlarm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A run that is the only one does, and any run has the timer set when it is not."""
        monkeypatch.setattr(watchdog, "INTERVAL", 60)
        assert timer.expect(is_only=False)
        before = time_left(timer)
        assert before > 0
        time.sleep(0.002)
        assert timer.expect(is_only=False)
        assert time_left(timer) < before
        time.sleep(0.002)
        left = time_left(timer)
        assert timer.expect(is_only=True)
        assert time_left(timer) > left

    def test_tests_that_replace_functions(
        timer: watchdog.TimerAlarm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What stands in for them is not for the alarm."""
        with monkeypatch.context() as patch:
            for name in ("read", "close", "fstat", "timerfd_settime", "timerfd_gettime"):
                patch.setattr(os, name, None)
            patch.setattr(time, "sleep", None)
            assert timer.expect(is_only=True)
            assert timer.expect(is_only=False)
            timer.wait()
            timer.close()

    def test_somebody_closes_all_descriptors(timer: watchdog.TimerAlarm) -> None:
        """It says that it is not going to ring, and touches nothing that has got the number since."""
        descriptor = timer._descriptor
        assert descriptor is not None
        os.close(descriptor)
        reading, writing = os.pipe()
        try:
            os.dup2(reading, descriptor)
            os.write(writing, b"for others")
            timer.wait()
            assert not timer.expect(is_only=False)
            assert not timer.expect(is_only=True)
            assert not timer.stop()
            timer.close()
            assert os.read(descriptor, 100) == b"for others"
        finally:
            for number in {reading, writing, descriptor}:
                os.close(number)

    @pytest.mark.parametrize("error", [OSError(24, "Too many open files"), None])
    def test_there_are_no_timers(monkeypatch: pytest.MonkeyPatch, error: OSError | None) -> None:
        """Then it rings regularly."""

        def refuse(clock: int) -> int:
            assert error is not None
            raise error

        if error is None:
            monkeypatch.delattr(os, "timerfd_create")
        else:
            monkeypatch.setattr(os, "timerfd_create", refuse)
        assert type(watchdog.make_alarm()) is watchdog.RegularAlarm
