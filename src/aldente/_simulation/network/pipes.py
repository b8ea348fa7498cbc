"""`Pipe`: one direction of a simulated connection."""

from __future__ import annotations

import codecs
import collections
import enum
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from aldente._simulation.choices import Deliveries

# How many bytes are taken from a writer before the reader has read some.
CAPACITY = 256 * 1024

# How far a line end is searched for, and how many bytes must be text at least.
_LINE, _TEXT = 4_096, 16

# What the records of TLS begin with: a type, then the first byte of the version.
_TLS = {(kind, 3) for kind in range(20, 24)}


class Mark(enum.Enum):
    """What may come through a pipe besides data."""

    END = "the end of the stream"
    RESET = "a reset"


class Wire(Protocol):
    """What a pipe needs of the loop."""

    def pick(self, options: Any) -> int:
        """Let the strategy decide."""
        ...

    def is_late(self, come: Callable[[], object], awaited: Any, what: str = "") -> bool:
        """Let the strategy choose whether something that takes no time takes some."""
        ...

    def time(self) -> float:
        """The loop time."""
        ...

    @property
    def may_be_late(self) -> bool:
        """Whether `is_late` may let something take time now."""
        ...

    def hold(self, release: Callable[[], object]) -> None:
        """Call a function when nothing else can happen."""
        ...

    def note_delivery(self, text: str) -> None:
        """Note for the story that something is delivered otherwise than it was written."""
        ...


class Pipe:
    """One direction of a connection.

    Args:
        wire: the loop.
        name: what messages call it.
        on_arrival: called when something has arrived.
        on_room: called when there is room again for data.
        on_refused: called when something has arrived that is not read any more.

    Attributes:
        has_ended: whether the end of the stream has arrived.
        is_reset: whether a reset has arrived.
        is_closed: whether what arrives is not read any more.
        is_refusing: whether data that arrives is answered with a reset.
    """

    def __init__(
        self,
        wire: Wire,
        name: str,
        on_arrival: Callable[[], object],
        on_room: Callable[[], object],
        on_refused: Callable[[], object],
    ) -> None:
        self._wire = wire
        self._name = name
        self._on_arrival = on_arrival
        self._on_room = on_room
        self._on_refused = on_refused
        self.has_ended = False
        self.is_reset = False
        self.is_closed = False
        self.is_refusing = False
        # What has arrived, in pieces; a reader gets no two pieces at once that a cut has made.
        self._arrived: collections.deque[tuple[bytes, bool]] = collections.deque()
        self._on_way: collections.deque[tuple[bytes, bool] | Mark] = collections.deque()
        # Bytes in both.
        self._size = 0
        self._deliveries: dict[int, Deliveries] = {}
        self._is_late = False
        self._is_held = False

    # The writer's end.

    @property
    def room(self) -> int:
        """How many bytes can be sent now."""
        return CAPACITY - self._size

    def send(self, buffers: Sequence[bytes]) -> int:
        """Send some bytes, as many as there is room for; return how many.

        Args:
            buffers: the bytes; the border between two is a place where the stream may be cut.
        """
        data, border = buffers[0], 0
        if len(buffers) > 1:
            border = len(data)
            data = b"".join(buffers)
        length = len(data)
        if length > CAPACITY - self._size:
            data = data[: CAPACITY - self._size]
            length = len(data)
        if border >= length:
            border = 0
        self._size += length
        # How many options there are follows from the lengths alone, as content may be random (TLS,
        # masks of websockets) and all runs with a schedule must have the same options.
        count = _CUTS[min(length, 4)] + bool(border)
        options = self._deliveries.get(count)
        if options is None:
            options = self._deliveries[count] = Deliveries(2 + count, self._name)
        wire = self._wire
        chosen = wire.pick(options)
        if not (chosen or self._on_way or self.is_refusing or wire.may_be_late):
            # As most do. It is what `_go` and `_arrive` would do, for speed.
            self._arrived.append((data, False))
            self._on_arrival()
            return length
        is_held = chosen == 1
        place = self._place(data, border, chosen) if chosen else 0
        if place:
            self._on_way.append((data[:place], True))
            self._on_way.append((data[place:], False))
        else:
            self._on_way.append((data, False))
        if is_held and not self._is_held and not self._is_late:
            self._hold()
        else:
            self._go(f"{length:,} bytes {self._name}")
        return length

    def end(self) -> None:
        """Send the end of the stream."""
        self._send_mark(Mark.END, "the end")

    def reset(self, *, is_lossy: bool = True) -> None:
        """Send a reset.

        Args:
            is_lossy: whether what is on its way is lost.
        """
        if is_lossy:
            self._on_way.clear()
        self._send_mark(Mark.RESET, "a reset")

    def _send_mark(self, mark: Mark, name: str) -> None:
        self._on_way.append(mark)
        what = f"{name} {self._name}"
        is_first = not (self._is_held or self._is_late)
        if is_first and self._wire.pick(Deliveries(2, self._name)):
            self._wire.note_delivery(f"{what} comes when nothing else can happen")
            self._hold()
        else:
            self._go(what)

    def _go(self, what: str) -> None:
        """Deliver what is on its way, unless something ahead of it is late or this becomes so."""
        if self._is_held:
            # It comes with what it has waited for.
            self._release()
        elif not self._is_late:
            if self._wire.is_late(self._arrive, None, what):
                self._is_late = True
            else:
                self._arrive()

    def _hold(self) -> None:
        """Deliver what is on its way with what is sent next, or when nothing else can happen."""
        self._is_held = True
        self._wire.hold(self._release)

    def _release(self) -> None:
        if self._is_held:
            self._is_held = False
            self._arrive()

    def _place(self, data: bytes, border: int, chosen: int) -> int:
        """Where data is cut by an option that was chosen; 0 if it comes with what is sent next."""
        what = f"{len(data):,} bytes {self._name}"
        if chosen == 1:
            self._wire.note_delivery(f"{what} come together with what is sent next")
            return 0
        place = _places(data, border)[chosen - 2]
        self._wire.note_delivery(
            f"{what} come in two parts, of {place:,} and {len(data) - place:,}"
        )
        return place

    # The reader's end.

    def _arrive(self) -> None:
        self._is_late = False
        if self.is_refusing and any(not isinstance(each, Mark) for each in self._on_way):
            self._on_way.clear()
            self._on_refused()
            return
        for each in self._on_way:
            if each is Mark.END:
                self.has_ended = True
            elif isinstance(each, Mark):
                self.is_reset = True
            elif not self.is_closed:
                self._arrived.append(each)
        self._on_way.clear()
        self._on_arrival()

    @property
    def has_data(self) -> bool:
        """Whether data has arrived that was not read."""
        return bool(self._arrived)

    def receive(self, most: int, *, is_peek: bool = False) -> bytes:
        """Read what has arrived; empty if nothing has.

        Args:
            most: how many bytes at most.
            is_peek: whether to leave them there.
        """
        arrived = self._arrived
        if len(arrived) == 1 and not is_peek and len(arrived[0][0]) <= most:
            data = arrived.popleft()[0]
            self._take(len(data))
            return data
        parts: list[bytes] = []
        kept = list(self._arrived) if is_peek else []
        wanted = most
        while self._arrived and wanted > 0:
            part, is_cut = self._arrived.popleft()
            if len(part) > wanted:
                self._arrived.appendleft((part[wanted:], is_cut))
                part, is_cut = part[:wanted], False
            parts.append(part)
            wanted -= len(part)
            if is_cut:
                break
        if is_peek:
            self._arrived = collections.deque(kept)
        elif parts:
            self._take(most - wanted)
        return b"".join(parts)

    def _take(self, size: int) -> None:
        was_full = self._size >= CAPACITY
        self._size -= size
        if was_full:
            self._on_room()

    def close(self) -> None:
        """Read nothing any more."""
        self.is_closed = self.is_refusing = True
        self._arrived.clear()


# In how many places data is cut, by its length.
_CUTS = (0, 0, 1, 2, 3)


def _places(data: bytes, border: int) -> list[int]:
    """Where data may be cut: after its first byte or line, before its last byte, at a border."""
    length = len(data)
    found = [1] if length > 1 else []
    if length > 2:
        found.append(length - 1)
    if length > 3:
        found.append(_place_inside(data))
    if border:
        found.append(border)
    return found


def _place_inside(data: bytes) -> int:
    """The end of the first line or record of TLS, if more comes after it; else the middle.

    What is encrypted is never taken for lines: it differs between runs with one schedule, which
    would not be the same if the place depended on it.
    """
    if (data[0], data[1]) in _TLS:
        place = 5 + int.from_bytes(data[3:5], "big")
        return place if place < len(data) else len(data) // 2
    line = data.find(b"\n", 0, _LINE) + 1
    is_inside = 1 < line < len(data) - 1 and _is_text(data[: max(line, _TEXT)])
    return line if is_inside else len(data) // 2


def _is_text(data: bytes) -> bool:
    """Whether data is text, which may be cut within a character."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return all(each >= " " or each in "\t\r\n" for each in text)
