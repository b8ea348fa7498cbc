"""What wakes the watchdog: regularly, or when a run has gone on for a moment."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import pytest

from aldente._guards import alarms

has_timers = pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info < (3, 13), reason="no timers in this Python"
)


@pytest.fixture(
    params=["RegularAlarm", pytest.param("TimerAlarm", marks=has_timers)],
)
def alarm(request: pytest.FixtureRequest) -> Iterator[alarms.Alarm]:
    """An alarm of each kind; nobody waits for it yet."""
    kind = getattr(alarms, request.param)
    alarm: alarms.Alarm = kind()
    yield alarm
    alarm.close()


def test_it_rings_when_a_run_has_gone_on(alarm: alarms.Alarm) -> None:
    """Not before the interval is over."""
    before = time.monotonic()
    alarm.expect()
    alarm.wait()
    assert time.monotonic() - before >= alarms.INTERVAL


def test_it_rings_again(alarm: alarms.Alarm) -> None:
    """After another interval, as often as it is asked to."""
    for _ in range(3):
        before = time.monotonic()
        alarm.repeat()
        alarm.wait()
        assert time.monotonic() - before >= alarms.INTERVAL


def test_it_rings_when_it_is_stopped(alarm: alarms.Alarm) -> None:
    """Although nothing has been expected."""
    assert alarm.stop()
    alarm.wait()


def test_the_best_there_is() -> None:
    """Timers where there are any."""
    alarm = alarms.make_alarm()
    is_best = sys.platform == "linux" and sys.version_info >= (3, 13)
    assert type(alarm).__name__ == ("TimerAlarm" if is_best else "RegularAlarm")
    alarm.close()


if sys.platform == "linux" and sys.version_info >= (3, 13):

    class Timer(alarms.TimerAlarm):
        """Notes to what it is set."""

        def __init__(self) -> None:
            super().__init__()
            self.settings: list[float] = []

        def _set(self, seconds: float) -> bool:
            self.settings.append(seconds)
            return super()._set(seconds)

    def test_it_is_not_set_anew_for_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
        """As long as what is set rings late enough for a run that begins, and soon enough."""
        now = 100.0
        monkeypatch.setattr(alarms, "monotonic", lambda: now)
        timer = Timer()
        begun = []
        for _ in range(30):
            timer.expect()
            # When it is going to ring after the beginning of this run.
            begun.append(100.0 + 0.01 * (len(timer.settings) - 1) + timer.settings[-1] - now)
            now += 0.001
        timer.close()
        assert len(timer.settings) == 3
        assert min(begun) >= alarms.INTERVAL - 1e-9
        assert max(begun) <= 1.5 * alarms.INTERVAL + 1e-9

    def test_somebody_closes_all_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
        """It rings at regular intervals then, and says that nobody is going to hear it stopped."""
        naps: list[float] = []
        monkeypatch.setattr(alarms.time, "sleep", naps.append)
        timer = alarms.TimerAlarm()
        os.close(timer._descriptor)
        timer.expect()
        timer.repeat()
        timer.wait()
        assert naps == [alarms.INTERVAL]
        assert not timer.stop()
        timer.close()
