"""`Link`: what is between two hosts, and how it delays, loses and holds what they send."""

from __future__ import annotations

from collections.abc import Callable

from aldente._simulation.choices import Losses
from aldente._simulation.network.addresses import Addresses
from aldente._simulation.network.pipes import Wire

# After how long a part of a stream is first sent again that was lost, in seconds; each time after
# twice as long as before. As in Linux.
_RETRANSMISSION = 0.2

# How often in a row a part of a stream is lost at most.
_MOST_LOSSES = 8


class Link:
    """A link between two hosts, alike in both directions.

    Args:
        wire: the loop.
        one, other: the names of the hosts.

    Attributes:
        one, other: as the arguments.
        latency: how long what is sent takes, in seconds.
        loss: the probability with which something sent is lost.
        bandwidth: how many bytes pass in a second; None for any number.
        is_cut: whether nothing passes.
        cuts: how often it was cut.
        before_sending: called before something is sent.
    """

    def __init__(self, wire: Wire, one: str, other: str) -> None:
        self.wire = wire
        self.one, self.other = one, other
        self.latency = 0.0
        self.loss = 0.0
        self.bandwidth: float | None = None
        self.is_cut = False
        self.cuts = 0
        self.before_sending: list[Callable[[], object]] = []
        self._ways: dict[str, Way] = {}

    def way(self, origin: Addresses, target: Addresses) -> Way:
        """One of its directions."""
        found = self._ways.get(origin.host)
        if found is None:
            found = self._ways[origin.host] = Way(self, origin, target)
        return found

    def forget_queue(self, host: str) -> None:
        """Forget the queue of what waits to leave one of its hosts, which has crashed."""
        if host in self._ways:
            self._ways[host].forget_queue()

    def cut(self) -> None:
        """Let no data pass."""
        self.is_cut = True
        self.cuts += 1

    def heal(self) -> None:
        """Let data pass again, and send what has waited for that."""
        self.is_cut = False
        self.go_on()

    def go_on(self) -> None:
        """Send what has waited, where something arrives again."""
        for way in list(self._ways.values()):
            way.go_on()

    def __str__(self) -> str:
        return f"{self.one} and {self.other}"


class Way:
    """One direction of a link.

    Args:
        link: the link.
        origin, target: the hosts.
    """

    def __init__(self, link: Link, origin: Addresses, target: Addresses) -> None:
        self._link = link
        self._origin, self._target = origin, target
        # When all that was sent so far has left its host.
        self._free = 0.0
        self._waiting: list[Callable[[], object]] = []

    @property
    def is_closed(self) -> bool:
        """Whether nothing arrives: the link is cut, or the host at its end is silent."""
        return self._link.is_cut or self._target.is_silent

    @property
    def may_delay(self) -> bool:
        """Whether what is sent now takes time, or may be lost."""
        link = self._link
        return bool(link.latency or link.loss or link.bandwidth)

    def note_sending(self) -> None:
        """Note that something is about to be sent."""
        for listener in list(self._link.before_sending):
            listener()

    def forget_queue(self) -> None:
        """Forget the queue of what waits to leave the host: it has crashed."""
        self._free = 0.0

    def wait(self, go: Callable[[], object]) -> None:
        """Call a function when something arrives again."""
        self._waiting.append(go)

    def go_on(self) -> None:
        """Send what has waited, unless nothing arrives yet."""
        if self.is_closed:
            return
        waiting, self._waiting = self._waiting, []
        for go in waiting:
            go()

    def delay(self, size: int) -> float:
        """How long something takes that is sent now, in seconds.

        Args:
            size: of how many bytes.
        """
        link = self._link
        now = link.wire.time()
        if link.bandwidth:
            self._free = max(self._free, now) + size / link.bandwidth
        return max(self._free - now, 0.0) + link.latency

    def delay_of_part(self, size: int) -> float:
        """As `delay`, for a part of a stream, which is sent again while it is lost."""
        seconds = self.delay(size)
        again = _RETRANSMISSION
        for _ in range(_MOST_LOSSES):
            if not self.is_lost(f"{size:,} bytes"):
                break
            seconds += again
            again *= 2
        return seconds

    def is_lost(self, what: str) -> bool:
        """Let the strategy choose whether something is lost.

        Args:
            what: what it is, in words.
        """
        link = self._link
        if not link.loss:
            return False
        name = f"{self._origin.host} to {self._target.host}"
        is_lost = bool(link.wire.pick(Losses(name, link.loss)))
        if is_lost:
            link.wire.note_fault("loss", f"{what} from {name} are lost", is_choice=True)
        return is_lost
