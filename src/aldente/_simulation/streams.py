"""Connections in memory, for simulated runs: no socket, and every delivery a part of the schedule.

What is written is delivered by the loop, in order, in its next turn; the task that reads it goes on
as one that something outside has woken.
"""

from __future__ import annotations

import asyncio
from typing import Any

# As asyncio's transports have it.
_HIGH = 64 * 1024

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def stream_pair(limit: int = 2**16) -> tuple[Pair, Pair]:
    """Two ends of a connection in memory, each as `asyncio.open_connection` gives one.

    It works on any event loop; in a simulated run it stands in for a socket.

    Args:
        limit: how much a reader holds before the other end has to wait, in bytes; as for
            `asyncio.open_connection`.

    >>> async def main():
    ...     (client_reader, client_writer), (server_reader, server_writer) = stream_pair()
    ...     client_writer.write(b"hello")
    ...     client_writer.write_eof()
    ...     server_writer.write(await server_reader.read())
    ...     server_writer.close()
    ...     answer = await client_reader.read()
    ...     client_writer.close()
    ...     return answer
    >>> asyncio.run(main())
    b'hello'
    """
    loop = asyncio.get_running_loop()
    ends = [_End(loop, limit), _End(loop, limit)]
    ends[0].connect(ends[1])
    ends[1].connect(ends[0])
    return (ends[0].pair, ends[1].pair)


class _End(asyncio.Transport):
    """The transport of one end.

    Args:
        loop: the running loop.
        limit: how much the reader holds, in bytes.

    Attributes:
        incoming: what the peer has sent and was not delivered yet; None stands for its end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        super().__init__()
        self._loop = loop
        self._peer: _End | None = None
        reader = asyncio.StreamReader(limit, loop)
        self._protocol: Any = asyncio.StreamReaderProtocol(reader, loop=loop)
        self.pair: Pair = (reader, asyncio.StreamWriter(self, self._protocol, reader, loop))
        self.incoming: list[bytes | None] = []
        self._is_delivering = False
        self._is_reading = True
        self._is_closing = False
        self._has_ended = False
        self._is_lost = False
        self._is_paused = False
        self._high, self._low = _HIGH, _HIGH // 4

    def connect(self, peer: _End) -> None:
        """Connect it with the other end."""
        self._peer = peer
        self._protocol.connection_made(self)

    # What the protocol and the writer ask.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """There is no socket, so nothing is known of it."""
        return default

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._is_closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another protocol take what comes."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """What takes what comes."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_reading(self) -> bool:
        """Whether what comes is delivered."""
        return self._is_reading and not self._is_closing

    def pause_reading(self) -> None:
        """Deliver nothing until `resume_reading`."""
        self._is_reading = False

    def resume_reading(self) -> None:
        """Deliver again."""
        self._is_reading = True
        self._deliver_soon()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """How much may be on its way before the protocol is told to pause, in bytes."""
        if high is None:
            high = _HIGH if low is None else 4 * low
        self._low = high // 4 if low is None else low
        self._high = high
        self.pause_or_resume()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The lower and the upper limit."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """How much is on its way, in bytes."""
        peer = self._peer
        return 0 if peer is None else sum(len(data) for data in peer.incoming if data is not None)

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def write(self, data: Any) -> None:
        """Send bytes to the other end."""
        if self._has_ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be bytes-like, not {type(data).__name__}")
        if data and not self._is_lost and self._peer is not None:
            self._peer.receive(bytes(data))
            self.pause_or_resume()

    def writelines(self, list_of_data: Any) -> None:
        """Send bytes to the other end."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Nothing more is sent."""
        if not self._has_ended and not self._is_lost:
            self._has_ended = True
            if self._peer is not None:
                self._peer.receive(None)

    def close(self) -> None:
        """Close it, once what was written has been sent."""
        if not self._is_closing:
            self.write_eof()
            self._is_closing = True
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        """Close it at once: the other end finds the connection reset."""
        if not self._is_lost:
            self._is_closing = True
            self._loop.call_soon(self._lose, None)
            if self._peer is not None:
                self._peer.reset()

    # What comes from the other end.

    def receive(self, data: bytes | None) -> None:
        """The peer sends something, or its end."""
        self.incoming.append(data)
        self._deliver_soon()

    def _deliver_soon(self) -> None:
        if not self._is_delivering and self.incoming:
            self._is_delivering = True
            # On a simulated loop, what this wakes was woken from outside.
            later = getattr(self._loop, "call_soon_outside", self._loop.call_soon)
            later(self._deliver)

    def _deliver(self) -> None:
        self._is_delivering = False
        while self.incoming and self._is_reading and not self._is_lost:
            data = self.incoming.pop(0)
            if self._is_closing:
                continue
            if data is not None:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()
        if self._peer is not None:
            self._peer.pause_or_resume()

    def reset(self) -> None:
        """The peer has aborted the connection."""
        self.incoming.clear()
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._lose, ConnectionResetError("Connection lost"))

    def pause_or_resume(self) -> None:
        """Tell the protocol whether much is on its way."""
        size = self.get_write_buffer_size()
        if not self._is_paused and size > self._high:
            self._is_paused = True
            self._protocol.pause_writing()
        elif self._is_paused and size <= self._low:
            self._is_paused = False
            self._protocol.resume_writing()

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._protocol.connection_lost(error)
            self.incoming.clear()
            if self._peer is not None:
                self._peer.pause_or_resume()
