"""`Pipe`: one direction of a simulated connection."""

from __future__ import annotations

import codecs
import collections
import enum
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from aldente._simulation.choices import Deliveries

# How many bytes are taken from a writer before the reader has read some.
CAPACITY = 256 * 1024

# How long data is sent again that does not arrive before the connection is given up, in seconds: as
# long as by Linux.
PATIENCE = 924.6

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

    def come_after(self, seconds: float, come: Callable[[], object], awaited: Any) -> Any:
        """Deliver something after a while, which may take longer."""
        ...

    def hold(self, release: Callable[[], object]) -> None:
        """Call a function when nothing else can happen."""
        ...

    def note_delivery(self, text: str) -> None:
        """Note for the story that something is delivered differently from how it was written."""
        ...

    def note_fault(self, kind: str, text: str, *, is_choice: bool) -> None:
        """Count a fault of the network or of a host, and note it for the story."""
        ...


class Path(Protocol):
    """What a pipe needs of a way between two hosts."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing arrives for now."""
        ...

    def note_sending(self) -> None:
        """Note that something is about to be sent."""
        ...

    def wait(self, go: Callable[[], object]) -> None:
        """Call a function when something arrives again."""
        ...

    def delay(self, size: int) -> float:
        """How long something takes that is not sent again, in seconds."""
        ...

    def delay_of_part(self, size: int) -> float:
        """How long a part of a stream takes, in seconds."""
        ...


class Breaking(Protocol):
    """Lets the explorer break a connection.

    Attributes:
        allowed: what has allowed it.
    """

    @property
    def allowed(self) -> object:
        """As described above."""
        ...

    def before_sending(self) -> bool:
        """Let the strategy choose whether the connection breaks now; whether it has."""
        ...

    def after_sending(self) -> None:
        """Break the connection if the strategy has chosen that it does so now."""
        ...


class _Batch:
    """What arrives at one moment."""

    __slots__ = ("is_due", "is_waiting", "items", "size")

    def __init__(self, items: list[tuple[bytes, bool] | Mark], size: int) -> None:
        self.items = items
        self.size = size
        # Whether only what is ahead of it keeps it from arriving.
        self.is_due = False
        # Whether it is sent again and again, as nothing arrives.
        self.is_waiting = False


class Pipe:
    """One direction of a connection.

    Args:
        wire: the loop.
        name: what messages call it.
        on_arrival: called when something has arrived.
        on_room: called when there is room again for data.
        on_refused: called when something has arrived that is not read any more.
        on_given_up: called when something has not arrived for too long.

    Attributes:
        path: the way between two hosts; None on one host.
        breaking: what may break the connection.
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
        on_given_up: Callable[[], object],
    ) -> None:
        self._wire = wire
        self._name = name
        self._on_arrival = on_arrival
        self._on_room = on_room
        self._on_refused = on_refused
        self._on_given_up = on_given_up
        self.path: Path | None = None
        self.breaking: list[Breaking] = []
        self.has_ended = False
        self.is_reset = False
        self.is_closed = False
        self.is_refusing = False
        # What has arrived, in pieces; a reader gets no two pieces at once that a cut has made.
        self._arrived: collections.deque[tuple[bytes, bool]] = collections.deque()
        self._on_way: collections.deque[_Batch] = collections.deque()
        # The last of these, if it comes with what is sent next.
        self._held: _Batch | None = None
        # Bytes in both.
        self._size = 0
        self._deliveries: dict[int, Deliveries] = {}
        # Whether its sender is gone, so that nothing is sent again that does not arrive.
        self._is_abandoned = False

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
        if not self.breaking:
            return self._send(buffers)
        breaking = list(self.breaking)
        if any(each.before_sending() for each in breaking):
            return min(sum(map(len, buffers)), self.room)
        sent = self._send(buffers)
        for each in breaking:
            each.after_sending()
        return sent

    def _send(self, buffers: Sequence[bytes]) -> int:
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
        count = (_CUTS[length] if length < 4 else 3) + (border > 0)
        options = self._deliveries.get(count)
        if options is None:
            options = self._deliveries[count] = Deliveries(2 + count, self._name)
        wire = self._wire
        chosen = wire.pick(options)
        if not (
            chosen or self._on_way or self.is_refusing or wire.may_be_late or self.path is not None
        ):
            # As most do. It is what `_go` and `_come` would do, for speed.
            self._arrived.append((data, False))
            self._on_arrival()
            return length
        place = self._place(data, border, chosen) if chosen else 0
        items: list[tuple[bytes, bool] | Mark] = [(data, False)]
        if place:
            items = [(data[:place], True), (data[place:], False)]
        if chosen == 1 and not self._on_way:
            self._hold(items, length)
        else:
            self._go(items, length, f"{length:,} bytes {self._name}")
        return length

    def end(self) -> None:
        """Send the end of the stream."""
        breaking = list(self.breaking)
        if not any(each.before_sending() for each in breaking):
            self._send_mark(Mark.END, "the end")
            for each in breaking:
                each.after_sending()

    def reset(self, *, is_lossy: bool = True) -> None:
        """Send a reset.

        Args:
            is_lossy: whether what is on its way is lost.
        """
        if is_lossy:
            self.lose()
        self._send_mark(Mark.RESET, "a reset")

    def lose(self) -> None:
        """Lose what is on its way."""
        self._on_way.clear()
        self._held = None

    def abandon(self) -> None:
        """Send nothing again that has not arrived: the writer's host has crashed."""
        self._is_abandoned = True
        while any(batch.is_waiting for batch in self._on_way):
            self._on_way.pop()

    def _send_mark(self, mark: Mark, name: str) -> None:
        what = f"{name} {self._name}"
        if not self._on_way and self._wire.pick(Deliveries(2, self._name)):
            self._wire.note_delivery(f"{what} comes when nothing else can happen")
            self._hold([mark], 0)
        else:
            self._go([mark], 0, what)

    def _go(self, items: list[tuple[bytes, bool] | Mark], size: int, what: str) -> None:
        """Deliver something after what is already on its way, at its own time."""
        if self.path is not None:
            self.path.note_sending()
        if self._held is not None:
            # It comes with what it has waited for.
            batch, self._held = self._held, None
            batch.items += items
            batch.size += size
            self._start(batch, "")
        else:
            batch = _Batch(items, size)
            self._on_way.append(batch)
            self._start(batch, what)

    def _start(self, batch: _Batch, what: str) -> None:
        """Send a batch on its way.

        Args:
            batch: the batch.
            what: the same in words; empty if it takes no longer than it has to.
        """
        come = partial(self._come, batch)
        seconds = 0.0
        if self.path is not None:
            if self.path.is_closed:
                if self._is_abandoned or Mark.RESET in batch.items:
                    # It is sent once only.
                    self._on_way.remove(batch)
                else:
                    self._wait(batch)
                return
            seconds = self.path.delay_of_part(batch.size)
        if seconds:
            self._wire.come_after(seconds, come, None)
        elif not (what and self._on_way[0] is batch and self._wire.is_late(come, None, what)):
            come()

    def _wait(self, batch: _Batch) -> None:
        """Send a batch when the path works again, unless that takes too long."""
        assert self.path is not None
        batch.is_waiting = True

        def go() -> None:
            patience.cancel()
            batch.is_waiting = False
            if batch in self._on_way:
                self._start(batch, "")

        def give_up() -> None:
            if batch in self._on_way:
                self.lose()
                self._on_given_up()

        patience = self._wire.come_after(PATIENCE, give_up, None)
        self.path.wait(go)

    def _wait_for_refusal(self) -> None:
        """Let a host refuse data once it is up again and answers, if that is in time."""
        assert self.path is not None

        def refuse() -> None:
            patience.cancel()
            self._on_refused()

        patience = self._wire.come_after(PATIENCE, self._on_given_up, None)
        self.path.wait(refuse)

    def _hold(self, items: list[tuple[bytes, bool] | Mark], size: int) -> None:
        """Deliver something with what is sent next, or when nothing else can happen."""
        batch = self._held = _Batch(items, size)
        self._on_way.append(batch)
        self._wire.hold(partial(self._release, batch))

    def _release(self, batch: _Batch) -> None:
        if self._held is batch:
            self._held = None
            self._start(batch, "")

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

    def _come(self, batch: _Batch) -> None:
        """Deliver something, unless something ahead of it is late; and what is behind it."""
        batch.is_due = True
        on_way = self._on_way
        if not on_way or not on_way[0].is_due:
            return
        items: list[tuple[bytes, bool] | Mark] = []
        while on_way and on_way[0].is_due:
            items += on_way.popleft().items
        self._arrive(items)

    def _arrive(self, items: list[tuple[bytes, bool] | Mark]) -> None:
        if self.is_refusing and any(not isinstance(each, Mark) for each in items):
            self.lose()
            seconds = 0.0 if self.path is None else self.path.delay(0)
            if self.path is not None and self.path.is_closed:
                self._wait_for_refusal()
            elif seconds:
                self._wire.come_after(seconds, self._on_refused, None)
            else:
                self._on_refused()
            return
        for each in items:
            if each is Mark.END:
                self.has_ended = True
            elif isinstance(each, Mark):
                self.is_reset = True
            elif not self.is_closed:
                self._arrived.append(each)
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
            # `_take` inlined, for speed.
            size = self._size
            self._size = size - len(data)
            if size >= CAPACITY:
                self._on_room()
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
        """Stop reading."""
        self.is_closed = self.is_refusing = True
        self._arrived.clear()


# In how many places data of less than 4 bytes is cut, by its length; longer data is cut in 3.
_CUTS = (0, 0, 1, 2)


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
