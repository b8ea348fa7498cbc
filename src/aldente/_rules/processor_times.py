"""How long threads have run and have waited for a processor, as Linux records it.

The files with these times stay open. Code under test may list the open descriptors of the process
at any moment, to compare them with those of another: a file that aldente opens just then, on a
thread of its own, would look like a leak of that code.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import NamedTuple

from aldente import _python_compat


class Times(NamedTuple):
    """How long a thread has run, and waited for a processor, in seconds; 0 if unknown."""

    ran: float
    waited: float


class ProcessorTimes:
    """Reads the times of threads; on other systems than Linux they are unknown.

    From `open` to `close`, the files of the main thread and of the thread that called `open` stay
    open. Loops on other threads are rare; their files are open for the moment of reading.
    """

    def __init__(self) -> None:
        self._files: dict[int, _KeptFile] = {}

    def open(self) -> None:
        """Open the files of the main thread and of this thread."""
        self.close()
        main_thread = threading.main_thread()
        threads = {
            main_thread.ident: main_thread.native_id,
            threading.get_ident(): threading.get_native_id(),
        }
        self._files = {
            thread: _KeptFile(_path(native_id))
            for thread, native_id in threads.items()
            if thread is not None
        }

    def close(self) -> None:
        """Close the files."""
        files, self._files = self._files, {}
        for file in files.values():
            file.close()

    def of(self, thread: int) -> Times:
        """Return the times of a thread.

        Args:
            thread: its identifier, as `threading.get_ident` gives it.
        """
        known = _python_compat.thread_with(thread)
        return self._read(thread, known.native_id if known is not None else None)

    def of_this_thread(self) -> Times:
        """Return the times of the thread that calls this."""
        return self._read(threading.get_ident(), threading.get_native_id())

    def _read(self, thread: int, native_id: int | None) -> Times:
        file = self._files.get(thread)
        try:
            content = file.content() if file is not None else None
            if content is None:
                with open(_path(native_id), "rb") as opened:
                    content = opened.read()
            ran, waited, _ = content.split()
            return Times(int(ran) / 1e9, int(waited) / 1e9)
        except (OSError, ValueError):
            return Times(0.0, 0.0)


class _KeptFile:
    """A file of the system that stays open; its content is read anew each time.

    Args:
        path: the file; that it can't be opened counts as closed.
    """

    # The originals: tests replace these functions for their own code.
    if sys.platform != "win32":
        _read = staticmethod(os.pread)
    _close = staticmethod(os.close)
    _status = staticmethod(os.fstat)

    def __init__(self, path: str) -> None:
        self._descriptor: int | None = None
        with contextlib.suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY)
            self._identity = self._identity_of(self._descriptor)

    def content(self) -> bytes | None:
        """Return what is in it now; None if it is closed."""
        descriptor = self._open_descriptor()
        # Windows has neither such files nor such reads.
        if descriptor is None or sys.platform == "win32":
            return None
        return self._read(descriptor, 100, 0)

    def close(self) -> None:
        """Close it."""
        descriptor, self._descriptor = self._open_descriptor(), None
        if descriptor is not None:
            self._close(descriptor)

    def _open_descriptor(self) -> int | None:
        """The descriptor; None once other code has closed it, as code that closes all does."""
        if self._descriptor is not None:
            try:
                # The next file to be opened gets the number.
                if self._identity_of(self._descriptor) != self._identity:
                    self._descriptor = None
            except OSError:
                self._descriptor = None
        return self._descriptor

    def _identity_of(self, descriptor: int) -> tuple[int, int]:
        status = self._status(descriptor)
        return status.st_dev, status.st_ino


def _path(native_id: int | None) -> str:
    # There is no thread 0.
    return f"/proc/self/task/{native_id or 0}/schedstat"
