"""`Run`: the result of a run of a program, with its `RunSettings` and a `RunWatch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from aldente import _checked_pythons
from aldente._diagnosis.waits import AwaitGraph
from aldente._explore.kept_values import KeptValues
from aldente._explore.observations import ObservedOperations
from aldente._explore.races import SharedAccess
from aldente._records import Finding
from aldente._schedules import Order, Schedule, Step
from aldente._simulation.loop import SimulatedLoop


class RunSettings(NamedTuple):
    """The settings of a program's runs.

    Attributes:
        order: which resumptions the loop may hold back.
        slack: what has taken t seconds may take up to slack * t more.
        seed: the seed of the program's randomness.
        max_steps: how many steps a run may take.
        max_virtual_time: how far time may run, in seconds of loop time.
        wall: the time at which the wall clock starts if it follows loop time, in nanoseconds since
            1970; None if it doesn't follow it.
        debug: whether the loop is in asyncio's debug mode; None leaves it to asyncio.
        is_serial: whether operations run one at a time.
        is_watched: whether to note what else the program does while operations run.
        is_paced: whether a bare yield of the program's first task, such as its own ``sleep(0)``, is
            a turn for all others.
    """

    order: Order = "any"
    slack: float = 1.0
    seed: int = 0
    max_steps: int = 100_000
    max_virtual_time: float = 10 * 365.25 * 86_400
    wall: int | None = None
    debug: bool | None = None
    is_serial: bool = False
    is_watched: bool = False
    is_paced: bool = False


class RunWatch(Protocol):
    """Observes runs, and finds what fails them although the program does not."""

    def begin(self, loop: SimulatedLoop) -> None:
        """Begin a run, whose loop exists."""
        ...

    def failed(self, loop: SimulatedLoop, error: BaseException) -> None:
        """Look at what has failed a run, which has ended; its tasks are as they were then.

        Of what rules have found, only when the loop is closed.
        """
        ...

    def main_ended(self, loop: SimulatedLoop) -> None:
        """Look at the tasks that the program leaves, before they are cancelled.

        Tasks that were about to end by themselves have had the time for that.
        """
        ...

    def take(self) -> Sequence[Finding]:
        """The findings that fail the run, which is over, with its loop closed."""
        ...

    @property
    def looks_for_races(self) -> bool:
        """Whether a program that passes is run again, to look for lost updates."""
        ...

    def report_race(self, finding: Finding) -> bool:
        """Report a lost update; whether it fails the program."""
        ...

    def again(self, token: str) -> str:
        """How to run a schedule again in which an update is lost, in words."""
        ...

    def aside(self) -> AbstractContextManager[object]:
        """While entered, runs are only for comparison: what is found in them is dropped."""
        ...


class Run(NamedTuple):
    """The result of one run.

    Attributes:
        result: what the program returned.
        error: what it raised, or the error that ended the run; None if it passed.
        choices: the number of the option chosen at each choice.
        counts: how many options each choice had.
        steps: the recorded steps, if it was traced.
        steps_until_end: how many steps there were when the program had ended or failed.
        waiting: which task waited for which, in a deadlock; else None.
        depends_on_threads: whether threads have called in that the schedule does not control.
        time_outs: how many time-outs were set, and how many of them have fired.
        faults: how often each kind of fault of the network has happened; 0 for those that may.
        findings: the findings that fail it, whether the program has failed or not.
        fingerprint: a number for its steps, to compare it with other runs in this process; 0 if it
            was not made.
        observation: the outcome of its operations; None without any.
        unjudged: why this could not be compared with all serial orders; empty if it was.
        accesses: what tasks have read and changed, if that was followed.
        kept: how tasks have ended, and what else was noted, if that was followed.
    """

    result: Any
    error: BaseException | None
    choices: list[int]
    counts: list[int]
    steps: list[Step]
    steps_until_end: int
    waiting: AwaitGraph | None
    depends_on_threads: bool
    time_outs: tuple[int, int]
    faults: Mapping[str, int]
    findings: Sequence[Finding] = ()
    fingerprint: int = 0
    observation: ObservedOperations | None = None
    unjudged: str = ""
    accesses: Sequence[SharedAccess] = ()
    kept: KeptValues | None = None

    def schedule(self, rules: RunSettings) -> Schedule:
        """The schedule of the run."""
        return Schedule(
            tuple(self.choices),
            tuple(self.counts),
            rules.order,
            rules.slack,
            rules.seed,
            python=_checked_pythons.running,
        )
