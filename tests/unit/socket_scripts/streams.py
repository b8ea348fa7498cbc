"""Scripts of calls of sockets: reading, writing, ending."""

from __future__ import annotations

import array
import contextlib
import socket
import struct

from tests.unit.socket_scripts.notes import HERE, Notes, script


@script
def reading(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        client, server = t.pair(family)
        t(server.recv, 10)
        t(client.send, b"hello")
        t(server.recv, 2, socket.MSG_PEEK)
        t(server.recv, 2)
        t(server.recv, 0)
        t(server.recv, 100, socket.MSG_PEEK)
        t(server.recv, 100)
        t(server.recv, 100)
        t(server.recv, 0)
        t(server.recv, -1)
        t(server.recv, "a")
        t(client.send, b"one")
        t(client.send, b"two")
        t(server.recvfrom, 100)
        t(client.send, b"")
        t(server.recv, 100)
        t(client.send, "text")
        t(client.send, None)
        t(client.sendall, b"all")
        t(client.sendto, b"to", ("127.0.0.1", 5))
        t(client.sendto, b"to", 0, ("127.0.0.1", 5))
        t(server.recv, 100)


@script
def reading_into_buffers(t: Notes) -> None:
    client, server = t.pair()
    buffer = bytearray(8)
    t(server.recv_into, buffer)
    client.send(b"hello, you all there")
    t(server.recv_into, buffer, 2)
    t.note(bytes(buffer))
    t(server.recv_into, buffer, 20)
    t(server.recv_into, buffer, -1)
    t(server.recv_into, b"fixed")
    t(server.recv_into, bytearray())
    t(server.recv_into, memoryview(buffer)[2:4])
    t.note(bytes(buffer))
    t(server.recv_into, array.array("I", [0]), 3)
    t(server.recvfrom_into, buffer, 3)
    t(server.recvfrom_into, buffer, 100)
    t(server.recv_into, buffer, 0, socket.MSG_PEEK)
    t.note(bytes(buffer))
    t(server.recv_into, buffer, nbytes=4, flags=0)
    t(server.recv_into, buffer)
    t(server.recv_into, buffer)


@script
def messages(t: Notes) -> None:
    client, server = t.pair()
    t(client.sendmsg, [b"one", b"", bytearray(b"two")])
    t(server.recvmsg, 4)
    t(server.recvmsg, 4, 100)
    t(server.recvmsg, 4)
    t(client.sendmsg, [])
    t(client.sendmsg, b"bytes")
    t(client.sendmsg, [b"a"], [], 0)
    t(client.sendmsg, ["a"])
    t(client.sendmsg, [b"a"], [], 0, ("127.0.0.1", 3))
    t(client.sendmsg, [array.array("H", [1, 2])])
    t(server.recvmsg_into, [bytearray(1), bytearray(2)])
    t(server.recv, 100)
    t(server.recvmsg, -1)
    client.close()
    t(server.recvmsg, 10)


@script
def flags_of_reading(t: Notes) -> None:
    client, server = t.pair()
    t(server.recv, 3, socket.MSG_DONTWAIT)
    client.send(b"hello")
    t(server.recv, 3, socket.MSG_DONTWAIT)
    t(server.recv, 10, socket.MSG_WAITALL)
    client.send(b"hello")
    t(server.recv, 10, socket.MSG_WAITALL | socket.MSG_PEEK)
    t(client.send, b"a", socket.MSG_NOSIGNAL)
    t(client.send, b"a", socket.MSG_DONTWAIT)
    t(server.recv, 10)


@script
def end_of_stream(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        client, server = t.pair(family)
        client.send(b"hello")
        t(client.shutdown, socket.SHUT_WR)
        t(client.send, b"a")
        t(client.send, b"")
        t(client.shutdown, socket.SHUT_WR)
        t(server.recv, 100)
        t(server.recv, 100)
        t(server.recv, 100, socket.MSG_PEEK)
        t(server.send, b"back")
        t(client.recv, 100)
        t(client.recv, 100)
        server.close()
        t(client.recv, 100)
        t(client.getpeername)
        t.error(client)
        t(client.shutdown, socket.SHUT_RDWR)


@script
def reading_shut_down(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        client, server = t.pair(family)
        client.send(b"before")
        t(server.shutdown, socket.SHUT_RD)
        t(server.recv, 3)
        t(server.recv, 30)
        t(server.recv, 30)
        t(client.send, b"after")
        t(client.send, b"after")
        t(server.recv, 30)
        t(server.send, b"back")
        t(client.recv, 30)
        t.error(client)


@script
def both_shut_down(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        client, server = t.pair(family)
        client.send(b"before")
        t(client.shutdown, socket.SHUT_RDWR)
        t(client.recv, 10)
        t(client.send, b"a")
        t(server.send, b"to it")
        t(server.send, b"to it")
        t(server.recv, 10)
        t(server.recv, 10)
        t.error(server)
        t(client.recv, 10)
        t(client.shutdown, socket.SHUT_RDWR)
        t(server.shutdown, socket.SHUT_RDWR)
        t(server.shutdown, socket.SHUT_RDWR)
        t(client.shutdown, socket.SHUT_RDWR)
        t(client.getpeername)


@script
def shut_down_without_a_connection(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        one = t.make(family)
        t(one.shutdown, socket.SHUT_RDWR)
        t(one.shutdown, 7)
        t(one.recv, 5)
        client, _ = t.pair(family)
        t(client.shutdown, 7)
        t(client.shutdown, -1)
        t(client.shutdown, "a")


@script
def closed_by_the_peer(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        client, server = t.pair(family)
        server.send(b"last")
        server.close()
        t(client.recv, 2)
        t(client.send, b"a")
        t(client.recv, 100)
        t(client.recv, 100)
        t(client.send, b"a")
        t(client.recv, 100)
        t.error(client)


@script
def writing_to_the_closed(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        client, server = t.pair(family)
        server.close()
        t(client.send, b"a")
        t.error(client)
        t(client.send, b"a")
        t(client.recv, 10)
        t(client.recv, 10)
        t(client.getpeername)
        t(client.shutdown, socket.SHUT_WR)


@script
def reading_from_what_was_reset(t: Notes) -> None:
    client, server = t.pair()
    server.close()
    t(client.send, b"a")
    t(client.recv, 10)
    t(client.recv, 10)
    t(client.send, b"a")
    t.error(client)


@script
def closed_with_unread_data(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        client, server = t.pair(family)
        client.send(b"unread")
        t.settle()
        server.close()
        t(client.recv, 10)
        t(client.recv, 10)
        t(client.send, b"a")
        t(client.getpeername)
        client, server = t.pair(family)
        client.send(b"unread")
        t.settle()
        server.send(b"on its way")
        server.close()
        t(client.recv, 3)
        t(client.recv, 100)
        t(client.recv, 100)
        client, server = t.pair(family)
        client.send(b"unread")
        t.settle()
        server.close()
        t(client.send, b"a")
        t(client.send, b"a")
        t(client.recv, 100)
        client, server = t.pair(family)
        client.send(b"unread")
        t.settle()
        server.close()
        t.error(client)
        t.error(client)
        t(client.recv, 100)
        t(client.send, b"b")


@script
def shut_down_and_closed_with_unread_data(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        client, server = t.pair(family)
        client.send(b"unread")
        t.settle()
        t(server.shutdown, socket.SHUT_WR)
        server.close()
        t(client.recv, 10)
        t(client.recv, 10)
        t(client.send, b"a")
        t(client.send, b"a")
        t.error(client)


@script
def data_that_meets_a_closed_end(t: Notes) -> None:
    """What arrives at an end that was shut down and closed is answered with a reset."""
    client, server = t.pair()
    server.shutdown(socket.SHUT_WR)
    t(client.recv, 10)
    server.close()
    t(client.send, b"a")
    t(client.send, b"a")
    t(client.recv, 10)
    client, server = t.pair()
    client.shutdown(socket.SHUT_WR)
    server.send(b"for the client")
    t.settle()
    client.close()
    t(server.recv, 10)
    t(server.recv, 10)
    t(server.send, b"a")
    t(server.send, b"a")


@script
def lingering(t: Notes) -> None:
    client, server = t.pair()
    server.send(b"before")
    t.settle()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    t(client.recv, 3)
    t(client.recv, 10)
    t(client.recv, 10)
    t(client.send, b"a")


@script
def both_close(t: Notes) -> None:
    client, server = t.pair()
    t(client.close)
    t(server.send, b"a")
    t(server.close)
    t(client.close)
    t(client.recv, 1)
    t(client.send, b"a")
    t(client.getsockname)
    t(client.getpeername)
    t(client.fileno)
    t(client.shutdown, socket.SHUT_WR)
    t(client.setblocking, False)
    t(client.listen)
    t(client.accept)
    t(client.connect, (HERE, 1))
    t(client.bind, (HERE, 1))
    t(client.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR)
    t(client.dup)
    t(client.detach)


@script
def pressure(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        client, server = t.pair(family)
        size = 0
        with contextlib.suppress(BlockingIOError):
            while size < 50_000_000:
                size += client.send(b"x" * 60_000)
        t.note(size > 100_000)
        t(client.send, b"more")
        got = 0
        while got < size:
            try:
                got += len(server.recv(1_000_000))
            except BlockingIOError:
                t.settle()
        t.note(got == size)
        t.settle()
        t(client.send, b"more")
        t(server.recv, 100)
