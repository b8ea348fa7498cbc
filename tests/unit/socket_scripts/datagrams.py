"""Scripts of calls of sockets: datagrams, and pairs of sockets."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.unit.socket_scripts.notes import HERE, Notes, script


@script
def datagrams(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        one, other = t.datagrams(family), t.datagrams(family)
        t(one.recv, 10)
        t(one.send, b"to nothing")
        t(one.sendto, b"hello", other.getsockname())
        t(other.recvfrom, 100)
        t(one.sendto, b"hello", 0, other.getsockname())
        t(one.sendto, b"", other.getsockname())
        t(one.sendto, b"third", other.getsockname())
        t(other.recvfrom, 2)
        t(other.recv, 100)
        t(other.recv, 100, socket.MSG_PEEK)
        buffer = bytearray(3)
        t(other.recvfrom_into, buffer)
        t.note(bytes(buffer))
        t(other.recv_into, buffer)
        t(one.getpeername)
        t(one.shutdown, socket.SHUT_RDWR)
        t(one.sendmsg, [b"a", b"b"], [], 0, other.getsockname())
        t(other.recvmsg, 1)
        t(one.sendmsg, [b"a", b"b"], [], 0, other.getsockname())
        t(other.recvmsg, 10)


@script
def connected_datagrams(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        one, other, third = (t.datagrams(family) for _ in range(3))
        t(one.connect, other.getsockname())
        t(one.getpeername)
        t(one.send, b"hello")
        t(other.recvfrom, 100)
        t(third.sendto, b"not wanted", one.getsockname())
        t(one.recv, 100)
        t(other.sendto, b"wanted", one.getsockname())
        t(one.recvfrom, 100)
        t(one.sendto, b"elsewhere", third.getsockname())
        t(third.recv, 100)
        t(one.connect, third.getsockname())
        t(one.send, b"hello")
        t(third.recv, 100)
        t(one.shutdown, socket.SHUT_WR)
        t(one.send, b"hello")
        t(one.shutdown, socket.SHUT_RD)
        t(one.recv, 10)


@script
def connected_with_another(t: Notes) -> None:
    """What is connected does not receive from others: they find nothing there."""
    one, other, third = (t.datagrams() for _ in range(3))
    t(one.connect, other.getsockname())
    t(third.connect, one.getsockname())
    t(third.send, b"a")
    t(third.recv, 10)
    t(third.send, b"a")
    t(one.recv, 10)
    t(one.connect, third.getsockname())
    t(third.send, b"b")
    t(one.recv, 10)
    anywhere = t.make(kind=socket.SOCK_DGRAM)
    anywhere.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    anywhere.bind(("0.0.0.0", 0))
    here = t.make(kind=socket.SOCK_DGRAM)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    t(here.bind, (HERE, anywhere.getsockname()[1]))
    t(other.sendto, b"whose", here.getsockname())
    t(here.recv, 10)
    t(anywhere.recv, 10)


@script
def unbound_datagrams(t: Notes) -> None:
    one = t.make(kind=socket.SOCK_DGRAM)
    other = t.datagrams()
    t(one.sendto, b"hello", other.getsockname())
    t(one.getsockname)
    t(other.recvfrom, 10)
    third = t.make(kind=socket.SOCK_DGRAM)
    t(third.connect, other.getsockname())
    t(third.getsockname)
    unix, target = t.make(socket.AF_UNIX, socket.SOCK_DGRAM), t.datagrams(socket.AF_UNIX)
    t(unix.sendto, b"hello", target.getsockname())
    t(unix.getsockname)
    t(target.recvfrom, 10)
    t(target.recvmsg, 10)


@script
def any_address(t: Notes) -> None:
    one = t.make(kind=socket.SOCK_DGRAM)
    one.bind(("", 0))
    port = one.getsockname()[1]
    other = t.datagrams()
    t(other.sendto, b"hello", (HERE, port))
    t(other.sendto, b"hello", ("0.0.0.0", port))
    t(one.recvfrom, 10)
    t(one.recvfrom, 10)
    t(one.sendto, b"back", other.getsockname())
    t(other.recvfrom, 10)
    t(one.connect, other.getsockname())
    t(one.getsockname)


@script
def datagrams_without_a_receiver(t: Notes) -> None:
    with t.datagrams() as gone:
        address = gone.getsockname()
    one = t.datagrams()
    t(one.sendto, b"a", address)
    t(one.sendto, b"a", address)
    t(one.recv, 10)
    t(one.connect, address)
    t(one.send, b"a")
    t(one.send, b"a")
    t(one.send, b"a")
    t(one.recv, 10)
    t(one.recv, 10)
    t(one.send, b"a")
    t.error(one)
    t.error(one)
    t(one.send, b"a")
    t(one.getpeername)
    t(one.sendto, b"a", t.datagrams().getsockname())
    t(one.recv, 10)


@script
def unix_datagrams_without_a_receiver(t: Notes) -> None:
    one, gone = t.datagrams(socket.AF_UNIX), t.datagrams(socket.AF_UNIX)
    path = gone.getsockname()
    t(one.connect, path)
    gone.close()
    t(one.send, b"a")
    t(one.send, b"a")
    t(one.recv, 10)
    other = t.datagrams(socket.AF_UNIX)
    t(other.sendto, b"a", path)
    Path(path).unlink()
    t(other.sendto, b"a", path)
    t(other.connect, path)
    t(other.connect, t.listener(socket.AF_UNIX).getsockname())
    t(other.sendto, b"a", t.listener(socket.AF_UNIX).getsockname())


@script
def long_datagrams(t: Notes) -> None:
    one, other = t.datagrams(), t.datagrams()
    for length in (65_507, 65_508, 70_000):
        t(one.sendto, b"x" * length, other.getsockname())
        t(other.recv, 100_000)
    t(one.connect, other.getsockname())
    t(one.send, b"x" * 65_508)
    six, target = t.datagrams(socket.AF_INET6), t.datagrams(socket.AF_INET6)
    for length in (65_507, 65_508, 65_527, 65_528):
        t(six.sendto, b"x" * length, target.getsockname())
        t(target.recv, 100_000)
    unix, path = t.datagrams(socket.AF_UNIX), t.datagrams(socket.AF_UNIX).getsockname()
    for length in (65_508, 100_000, 500_000):
        t(unix.sendto, b"x" * length, path)


@script
def too_many_datagrams(t: Notes) -> None:
    one, other = t.datagrams(), t.datagrams()
    for _ in range(400):
        one.sendto(b"x" * 1000, other.getsockname())
    t.settle()
    got = 0
    while True:
        try:
            got += len(other.recv(2000))
        except BlockingIOError:
            break
    t.note(50_000 < got < 400_000)
    unix, receiver = t.datagrams(socket.AF_UNIX), t.datagrams(socket.AF_UNIX)
    sent = 0
    while sent < 1000:
        try:
            unix.sendto(b"x", receiver.getsockname())
        except BlockingIOError:
            break
        sent += 1
    t.note(5 <= sent < 1000)
    t(receiver.recv, 10)
    t(unix.sendto, b"x", receiver.getsockname())
    t(unix.sendto, b"x", receiver.getsockname())


@script
def wrong_datagrams(t: Notes) -> None:
    one = t.datagrams()
    for address in (None, HERE, (HERE,), (HERE, "80"), (HERE, 70000), (HERE, 0), (1, 2)):
        t(one.sendto, b"a", address)
    t(one.sendto, b"a")
    t(one.sendto, b"a", 0, one.getsockname(), 5)
    t(one.sendto, b"a", "0", one.getsockname())
    t(one.sendto, "a", one.getsockname())
    t(one.sendto, b"to itself", one.getsockname())
    t(one.recvfrom, 100)
    t(one.recv, -1)
    t(one.connect, None)
    t(one.bind, (HERE, 0))
    unix = t.datagrams(socket.AF_UNIX)
    t(unix.sendto, b"a", (HERE, 5))
    t(unix.sendto, b"a", str(t.folder / "none"))
    t(unix.send, b"a")
    t(unix.getpeername)


@script
def closed_datagrams(t: Notes) -> None:
    one, other = t.datagrams(), t.datagrams()
    address = other.getsockname()
    t(one.sendto, b"a", address)
    other.close()
    t(other.recv, 10)
    t(other.sendto, b"a", one.getsockname())
    t(one.sendto, b"a", address)
    again = t.make(kind=socket.SOCK_DGRAM)
    t(again.bind, address)
    t(again.recv, 10)
    copy = t(again.dup)
    again.close()
    t(one.sendto, b"a", address)
    t(copy.recv, 10)


@script
def pairs(t: Notes) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        for each in (one, other):
            each.setblocking(False)
            t.note(each)
        t(one.getsockname)
        t(one.getpeername)
        t(one.send, b"hello")
        t(one.send, b"you")
        t(other.recv, 100)
        t(other.recv, 100)
        t(other.recv, 100)
        t(other.sendall, b"back")
        t(one.recv, 2)
        t(one.recv, 100)
        other.close()
        t(one.recv, 100)
        t(one.send, b"a")
