"""Connections in memory, for simulated runs: no socket, and the schedule decides each delivery.

The loop delivers written bytes in order, in its next turn; the task that reads them counts as woken
from outside.
"""

from __future__ import annotations

import asyncio
from typing import Any

# The default of asyncio's transports.
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
    ends = [_StreamEnd(loop, limit), _StreamEnd(loop, limit)]
    ends[0].connect(ends[1])
    ends[1].connect(ends[0])
    return (ends[0].pair, ends[1].pair)


class _StreamEnd(asyncio.Transport):
    """The transport of one end.

    Args:
        loop: the running loop.
        limit: how much the reader holds, in bytes.

    Attributes:
        incoming: bytes from the peer that the loop has not delivered yet; None stands for the end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        super().__init__()
        self._loop = loop
        self._peer: _StreamEnd | None = None
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

    def connect(self, peer: _StreamEnd) -> None:
        """Connect it with the other end."""
        self._peer = peer
        self._protocol.connection_made(self)

    # Called by the protocol and the writer.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The default, always: there is no socket to describe."""
        return default

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._is_closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver to another protocol from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that gets what arrives."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_reading(self) -> bool:
        """Whether the loop delivers what arrives."""
        return self._is_reading and not self._is_closing

    def pause_reading(self) -> None:
        """Deliver nothing until `resume_reading`."""
        self._is_reading = False

    def resume_reading(self) -> None:
        """Deliver again."""
        self._is_reading = True
        self._deliver_soon()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how many bytes may be on their way before the protocol pauses writing."""
        if high is None:
            high = _HIGH if low is None else 4 * low
        self._low = high // 4 if low is None else low
        self._high = high
        self.pause_or_resume()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The lower and the upper limit."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """How many bytes are on their way."""
        peer = self._peer
        return 0 if peer is None else sum(len(data) for data in peer.incoming if data is not None)

    def can_write_eof(self) -> bool:
        """True."""
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
        """Send the end of the stream."""
        if not self._has_ended and not self._is_lost:
            self._has_ended = True
            if self._peer is not None:
                self._peer.receive(None)

    def close(self) -> None:
        """Close it once all written bytes are delivered."""
        if not self._is_closing:
            self.write_eof()
            self._is_closing = True
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        """Close it at once: the other end gets a ConnectionResetError."""
        if not self._is_lost:
            self._is_closing = True
            self._loop.call_soon(self._lose, None)
            if self._peer is not None:
                self._peer.reset()

    # Called by the other end.

    def receive(self, data: bytes | None) -> None:
        """Take bytes from the peer, or None for the end of its stream."""
        self.incoming.append(data)
        self._deliver_soon()

    def _deliver_soon(self) -> None:
        if not self._is_delivering and self.incoming:
            self._is_delivering = True
            # On a simulated loop, a task that this wakes counts as woken from outside.
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
        """Lose the connection: the peer has aborted it."""
        self.incoming.clear()
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._lose, ConnectionResetError("Connection lost"))

    def pause_or_resume(self) -> None:
        """Pause or resume the protocol's writing, by how many bytes are on their way."""
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
