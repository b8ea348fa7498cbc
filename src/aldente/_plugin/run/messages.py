"""Prints messages on the terminal while a test runs: that the test is stuck, or is being ended.

A worker of pytest-xdist has no terminal: its messages go through a channel of execnet, on which
pytest-xdist is built, to the controller, which prints them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

import pytest

from aldente._own_errors import contained

# The channel's name in what the controller gives to a worker.
_CHANNEL = "aldente_messages"


def receive_messages(config: pytest.Config, node: Any) -> None:
    """Print what a worker of pytest-xdist sends; called by the controller before the worker starts.

    Args:
        config: the controller's configuration.
        node: the worker, as pytest-xdist's hooks get it.
    """

    def receive(text: str) -> None:
        with contained("printing a message of a worker"):
            print_message(config, text)

    channel = node.gateway.newchannel()
    channel.setcallback(receive)
    node.workerinput[_CHANNEL] = channel


def print_message(config: pytest.Config, text: str) -> None:
    """Print a message on the terminal, past any output capture; on any thread."""
    channel = getattr(config, "workerinput", {}).get(_CHANNEL)
    if channel is not None:
        channel.send(text)
        return
    capturing: Any = config.pluginmanager.get_plugin("capturemanager")
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    with capturing.global_and_fixture_disabled() if capturing is not None else nullcontext():
        if reporter is not None:
            reporter.ensure_newline()
            if config.get_terminal_writer().width_of_current_line:
                # After the dots of pytest-xdist.
                reporter.write_line("")
            reporter.write_line(text)
            reporter.flush()
        elif sys.__stderr__ is not None:
            # As with -p no:terminal.
            print(text, file=sys.__stderr__, flush=True)


@contextmanager
def printing_at_end(show: Callable[[], object]) -> Iterator[None]:
    """While entered, call a function when SIGTERM ends the process.

    Only on the main thread, and only if SIGTERM has its default handler. Forks do not inherit it.

    Args:
        show: the function; called on the main thread, wherever that is.
    """
    before = signal.getsignal(signal.SIGTERM) if _is_main() else None
    if before is not signal.SIG_DFL:
        yield
        return
    _register_fork_hook()

    def on_term(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            show()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, on_term)
    _ours.add(on_term)
    try:
        yield
    finally:
        _ours.discard(on_term)
        if _is_main() and signal.getsignal(signal.SIGTERM) is on_term:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


_ours: set[object] = set()
_fork_hooks: list[bool] = []


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _register_fork_hook() -> None:
    """Have SIGTERM end forks at once, even if they run no Python; registers the hook once."""
    if not _fork_hooks and hasattr(os, "register_at_fork"):
        _fork_hooks.append(True)
        os.register_at_fork(
            before=_hold_back, after_in_parent=_let_come, after_in_child=_forget_in_fork
        )


# The signals that were blocked before each fork in progress, by thread.
_masks: dict[int, set[signal.Signals | int]] = {}


def _hold_back() -> None:
    # A fork would lose a signal that came before it removed the handler.
    if _ours:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        _masks[threading.get_ident()] = mask


def _let_come() -> None:
    mask = _masks.pop(threading.get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _forget_in_fork() -> None:
    if _is_main() and signal.getsignal(signal.SIGTERM) in _ours:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_come()
