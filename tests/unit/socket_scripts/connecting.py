"""Scripts of calls of sockets: connecting and listening."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.unit.socket_scripts.notes import HERE, Notes, script


@script
def connecting(t: Notes) -> None:
    listener = t.listener()
    client = t.make()
    t(client.connect, listener.getsockname())
    t.settle()
    t(client.connect, listener.getsockname())
    t(client.connect, listener.getsockname())
    t.error(client)
    t(client.connect_ex, listener.getsockname())
    t(client.listen)
    t(client.bind, (HERE, 0))
    t(client.accept)


@script
def connecting_by_number(t: Notes) -> None:
    listener = t.listener()
    client = t.make()
    t(client.connect_ex, listener.getsockname())
    t.settle()
    t.error(client)
    t(client.connect_ex, listener.getsockname())


@script
def refused(t: Notes) -> None:
    port = t.free_port()
    client = t.make()
    t(client.connect_ex, (HERE, port))
    t.settle()
    t.error(client)
    t.error(client)
    t(client.send, b"a")
    t(client.recv, 1)
    t(client.getpeername)
    t(client.connect_ex, (HERE, port))
    t.settle()
    t(client.connect_ex, (HERE, port))
    t(client.connect_ex, (HERE, port))
    t.settle()
    t(client.recv, 1)
    t(client.recv, 1)
    t(client.connect_ex, (HERE, port))
    t.settle()
    t(client.send, b"a")
    t(client.send, b"a")


@script
def connected_after_it_was_refused(t: Notes) -> None:
    client = t.make()
    t(client.connect_ex, (HERE, t.free_port()))
    t.settle()
    t.error(client)
    listener = t.listener()
    t(client.connect_ex, listener.getsockname())
    t.settle()
    t.error(client)
    found = t(listener.accept)
    t(client.send, b"hello")
    if found:
        t(found[0].recv, 10)


@script
def bound_but_not_listening(t: Notes) -> None:
    one = t.make()
    one.bind((HERE, 0))
    client = t.make()
    t(client.connect_ex, one.getsockname())
    t.settle()
    t.error(client)


@script
def connecting_a_listener(t: Notes) -> None:
    one, other = t.listener(), t.listener()
    t(one.connect, other.getsockname())
    t(one.send, b"a")
    t(one.recv, 1)
    t(one.shutdown, socket.SHUT_WR)
    t(one.connect, other.getsockname())
    t.error(one)
    t(one.listen, 3)


@script
def accepting(t: Notes) -> None:
    one = t.make()
    t(one.accept)
    one.bind((HERE, 0))
    t(one.accept)
    one.listen(0)
    t(one.accept)
    unix = t.make(socket.AF_UNIX)
    t(unix.accept)
    t(unix.listen)
    t(t.listener(socket.AF_UNIX).accept)
    t(t.datagrams().accept)
    t(t.datagrams().listen)


@script
def listening_without_an_address(t: Notes) -> None:
    one = t.make()
    t(one.listen, -1)
    t(one.getsockname)
    client = t.make()
    t(client.connect_ex, (HERE, one.getsockname()[1]))
    t.settle()
    t.error(client)
    t(one.accept)
    t(one.listen, "a")


@script
def wrong_addresses(t: Notes) -> None:
    client = t.make()
    for address in (None, HERE, (HERE,), (HERE, "80"), (HERE, 70000), (HERE, -1), (1, 2), ()):
        t(client.connect, address)
        t(client.connect_ex, address)
    unix = t.make(socket.AF_UNIX)
    for path in (None, 5, (HERE, 1), str(t.folder / "none"), str(t.folder), ""):
        t(unix.connect, path)
        t(unix.connect_ex, path)
    t(client.send, b"a")
    t(unix.send, b"a")
    t(unix.recv, 1)


@script
def unix_refused(t: Notes) -> None:
    listener = t.listener(socket.AF_UNIX)
    path = listener.getsockname()
    listener.close()
    client = t.make(socket.AF_UNIX)
    t(client.connect, path)
    t(client.getpeername)
    os.unlink(path)
    t(client.connect, path)
    Path(path).touch()
    t(client.connect, path)
    other = t.datagrams(socket.AF_UNIX)
    t(client.connect, other.getsockname())
    t(client.connect, t.listener(socket.AF_UNIX).getsockname())
    t(client.getpeername)
    t(client.connect, path)


@script
def unix_renamed(t: Notes) -> None:
    """A path is one of a file: it may be renamed, linked, relative, or made of bytes."""
    listener = t.listener(socket.AF_UNIX)
    path = Path(listener.getsockname())
    path.rename(t.folder / "moved")
    t(t.make(socket.AF_UNIX).connect, str(path))
    client = t.make(socket.AF_UNIX)
    t(client.connect, str(t.folder / "moved"))
    t(client.getpeername)
    (t.folder / "link").symlink_to(t.folder / "moved")
    t(t.make(socket.AF_UNIX).connect, str(t.folder / "link"))
    t(t.make(socket.AF_UNIX).connect, os.fsencode(t.folder / "moved"))
    t(listener.accept)
    other = t.make(socket.AF_UNIX)
    other.bind(str(path))
    other.listen()
    second = t.make(socket.AF_UNIX)
    t(second.connect, str(path))
    t(other.accept)


@script
def unix_without_files(t: Notes) -> None:
    one = t.make(socket.AF_UNIX)
    name = f"\0aldente {os.getpid()}"
    t(t.make(socket.AF_UNIX).connect, name)
    one.bind(name)
    one.listen()
    t.note(one.getsockname() == name.encode())
    client = t.make(socket.AF_UNIX)
    t(client.connect, name)
    t.note(client.getpeername() == name.encode())
    t(t.make(socket.AF_UNIX).bind, name)


@script
def full_backlog(t: Notes) -> None:
    listener = t.listener(socket.AF_UNIX, 1)
    clients = [t.make(socket.AF_UNIX) for _ in range(4)]
    for client in clients:
        t(client.connect, listener.getsockname())
    t(listener.accept)
    t(clients[3].connect, listener.getsockname())


@script
def clients_that_are_gone(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        listener = t.listener(family)
        client = t.connected(listener)
        t(client.send, b"last words")
        client.close()
        accepted = t(listener.accept)[0]
        t(accepted.recv, 100)
        t(accepted.recv, 100)
        t(accepted.send, b"a")
        t(accepted.send, b"a")
        t(accepted.recv, 100)
        t.error(accepted)


@script
def listener_that_is_gone(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        listener = t.listener(family)
        client = t.connected(listener)
        t(client.send, b"hello")
        listener.close()
        t.settle()
        t(client.getpeername)
        t(client.recv, 10)
        t(client.recv, 10)
        t(client.send, b"a")
        t.error(client)


@script
def listener_shut_down(t: Notes) -> None:
    for how in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
        listener = t.listener()
        address = listener.getsockname()
        t(listener.shutdown, how)
        client = t.make()
        t(client.connect_ex, address)
        t.settle()
        t.error(client)
        t(listener.accept)
