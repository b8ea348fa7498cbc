"""The commands ``search`` and ``replay``, and the program that they run: ``module:function``."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import sys
import traceback
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from aldente._explore import api
from aldente._explore.arguments import parse_rules, parse_strategy
from aldente._explore.executors import check_shareable
from aldente._explore.explorer import Explorer
from aldente._explore.interrupting import noting_interrupts
from aldente._explore.nondeterminism import run_again
from aldente._explore.result import Failure
from aldente._explore.rules_in_runs import RuleWatch, besides, parse_levels_in_runs
from aldente._explore.runs import RunSettings
from aldente._explore.sharded_search import IN_ROUNDS, SearchPlan
from aldente._explore.simulate import Main, Program
from aldente._explore.soak import Reports, Soaked, SoakSettings, soak
from aldente._explore.soak_state import Soak, SoakState
from aldente._simulation import tokens
from aldente._simulation.determinism import kept_randomness
from aldente.errors import InvalidSetting, ReplayMismatch, UnusableState


class UnknownProgram(Exception):
    """There is no such program; the text says why, and what to do."""


def load(name: str) -> tuple[Main, int | None]:
    """The program of a name, and a checksum of its module's source; None if it has none.

    Args:
        name: ``module:function``; the function may be ``Class.method`` for a static method.

    Raises:
        UnknownProgram: there is none, or it is not a coroutine function without arguments.
    """
    module_name, colon, path = name.partition(":")
    parts = [*module_name.split("."), *path.split(".")]
    is_file = module_name.endswith(".py")
    if not colon or is_file or not all(part.isidentifier() for part in parts):
        hint = ""
        if is_file:
            dotted = ".".join(Path(module_name).with_suffix("").parts)
            hint = f" Did you mean {dotted}:{path or 'main'}?"
        raise UnknownProgram(
            f"{name!r} names no program: it must be module:function, such as shop.orders:main."
            f"{hint}"
        )
    module = _import(module_name)
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            others = ", ".join(_programs_of(module)) or "none"
            raise UnknownProgram(
                f"the module {module_name!r} has no {path!r}. Its coroutine functions without "
                f"arguments are: {others}."
            )
        found = getattr(found, part)
    if not inspect.iscoroutinefunction(found):
        kind = type(found).__name__
        raise UnknownProgram(
            f"{name!r} is not a coroutine function (it is a {kind}). Name one that is defined by "
            "'async def' and takes no arguments."
        )
    if _needs(found):
        raise UnknownProgram(
            f"{name!r} can't be called without arguments: it needs {', '.join(_needs(found))}. "
            "Name a coroutine function that takes none, and calls this one."
        )
    return found, _checksum_of(module)


def _import(name: str) -> ModuleType:
    # As "python -m" does, which a console script would not.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UnknownProgram(
                f"there is no module {error.name!r}. aldente looked for it in {Path.cwd()} and in "
                "sys.path; start in the folder that contains it, or set PYTHONPATH."
            ) from error
        raise _failed(name) from error
    except Exception as error:
        raise _failed(name) from error


def _failed(name: str) -> UnknownProgram:
    text = traceback.format_exc().rstrip()
    return UnknownProgram(f"the module {name!r} can't be imported:\n{text}")


def _needs(function: Any) -> list[str]:
    """The names of the arguments that a function needs."""
    kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return [
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind not in kinds
    ]


def _programs_of(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        is_own = getattr(value, "__module__", module.__name__) == module.__name__
        is_program = inspect.iscoroutinefunction(value) and not _needs(value)
        if is_program and (is_own or isinstance(value, functools.partial)):
            yield name


def _checksum_of(module: ModuleType) -> int | None:
    path = getattr(module, "__file__", None)
    if path is None or not path.endswith(".py"):
        return None
    return zlib.crc32(Path(path).read_bytes())


# What messages begin with.
PROGRAM = "python -m aldente"


class Request(NamedTuple):
    """What to search, and how.

    Attributes:
        name: the name of the program.
        main: the program.
        source: a checksum of its module's source; None if it has none.
        runs: the most runs; None for no limit.
        seconds: how long it may take; None for no limit.
        strategy: the name of the strategy.
        seed: the seed.
        order: which resumptions to hold back.
        state: the state directory; None without one.
        workers: the number of processes; None for this one, without shards.
        shards: the number of shards.
    """

    name: str
    main: Main
    source: int | None
    runs: int | None
    seconds: float | None
    strategy: str
    seed: int
    order: str
    state: Path | None
    workers: int | None
    shards: int


def search(request: Request) -> int:
    """Search, and print the result; the exit status.

    Raises:
        AldenteError: an argument has a wrong value, or the search can't go on.
        KeyboardInterrupt: the user pressed Ctrl-C.
    """
    rules = parse_rules(order=request.order, seed=request.seed)
    parse_strategy(request.strategy, rules.seed)
    if request.state is None and request.workers is None:
        found = api.search(
            request.main,
            runs=request.runs or 10**12,
            strategy=request.strategy,
            order=request.order,
            seed=request.seed,
            max_seconds=request.seconds,
        )
        return _print_result(request, Soaked(found))
    check_shareable(request.strategy)
    if request.state is not None and request.strategy not in IN_ROUNDS:
        allowed = f"With --state it must be one of: {', '.join(IN_ROUNDS)}."
        raise InvalidSetting("strategy", request.strategy, allowed)
    looks = RuleWatch(parse_levels_in_runs(None)).looks_for_races and request.strategy != "fifo"
    plan = SearchPlan(request.shards, request.runs, request.strategy, rules.seed, looks)
    settings = SoakSettings(rules, plan, request.seconds, request.workers or 1)
    with _state_of(request) as state:
        reports = Reports(_report_progress, _report_trouble)
        return _print_result(request, soak(request.main, settings, state, reports))


def _state_of(request: Request) -> AbstractContextManager[SoakState | None]:
    if request.state is None:
        return contextlib.nullcontext()
    settings = {
        "seed": request.seed,
        "strategy": request.strategy,
        "order": request.order,
        "number of runs": request.runs,
        "number of shards": request.shards,
    }
    return SoakState(request.state, Soak(request.name, settings, request.source))


def _report_progress(runs: int, seconds: float) -> None:
    print(f"{_time(seconds)}: {runs:,} runs so far", flush=True)


def _report_trouble(error: UnusableState) -> None:
    print(f"{PROGRAM}: {error}\nThe search goes on.", file=sys.stderr, flush=True)


def _time(seconds: float) -> str:
    """A length of time, in words.

    >>> _time(42), _time(3_600 * 2 + 61)
    ('42 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _print_result(request: Request, soaked: Soaked) -> int:
    """Print the result of a search; the exit status."""
    status = _print_exploration(request, soaked)
    if soaked.unsaved is None:
        return status
    print(f"{PROGRAM}: {soaked.unsaved}", file=sys.stderr)
    return status or 2


def _print_exploration(request: Request, soaked: Soaked) -> int:
    exploration, before, is_kept, is_anew, _ = soaked
    if is_anew:
        print("The failure in the state directory no longer occurs, so the search began anew.\n")
    for text in exploration.findings:
        print(f"{text}\n")
    failure = exploration.failure
    if failure is not None:
        if is_kept:
            print("The failure that an earlier search found still occurs:\n")
        print(_report(request.name, failure))
        return 1
    earlier = f", {before:,} of them earlier" if before else ""
    runs = "1 run" if exploration.runs == 1 else f"{exploration.runs:,} runs"
    print(f"No failure in {runs} (seed {request.seed}{earlier}).")
    if exploration.coverage:
        print(exploration.coverage)
    if exploration.escaped:
        print(f"Not exact: {exploration.escaped}")
    if exploration.is_late:
        print("The time limit of the search has passed.")
    return 0


def _report(name: str, failure: Failure) -> str:
    text = failure.report().rpartition("\n")[0]
    return f"{text}\nRun it again: python -m aldente replay {failure.token} {name}"


def replay(name: str, main: Main, token: str) -> int:
    """Run a schedule of a program again, and print what happened; the exit status.

    Raises:
        InvalidToken: the token is malformed.
        KeyboardInterrupt: the user pressed Ctrl-C.
    """
    schedule = tokens.decode(token)
    rules = RunSettings(order=schedule.order, slack=schedule.slack, seed=schedule.seed)
    with kept_randomness(), noting_interrupts() as is_interrupted:
        watch = RuleWatch(parse_levels_in_runs(None))
        program = Program(main, rules, is_interrupted, watch=watch)
        run, mismatch = run_again(program, schedule)
        error = run.error
        if mismatch is not None and (error is None or isinstance(error, ReplayMismatch)):
            print(mismatch)
            return 1
        failure = None
        if error is None:
            failure = Explorer(program).look_into(schedule)
        else:
            steps = tuple(run.steps[: run.steps_until_end])
            notes = tuple(besides(error, run.findings))
            failure = Failure(
                error, schedule, token, 1, steps=steps, waiting=run.waiting, findings=notes
            )
    if failure is None:
        print("The program passes under this schedule.")
        return 0
    print(_report(name, failure))
    return 1
