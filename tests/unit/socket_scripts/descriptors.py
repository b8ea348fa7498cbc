"""Scripts of calls of sockets: descriptors, files and time-outs."""

from __future__ import annotations

import io
import os
import socket

from tests.unit.socket_scripts.notes import HERE, Notes, script


@script
def duplicates(t: Notes) -> None:
    client, server = t.pair()
    other = t(client.dup)
    t(other.send, b"by the other")
    t(server.recv, 100)
    client.close()
    t(server.recv, 100)
    t(other.send, b"still")
    t(server.recv, 100)
    t(other.getpeername)
    other.close()
    t(server.recv, 100)


@script
def detached(t: Notes) -> None:
    client, server = t.pair()
    number = client.detach()
    t(client.fileno)
    t(client.send, b"a")
    again = t(lambda: socket.socket(fileno=number))
    again.setblocking(False)
    t.note(again.fileno() == number, again.family, again.type, again.proto)
    t(again.send, b"hello")
    t(server.recv, 10)
    t(again.getpeername)
    again.close()
    t(server.recv, 10)
    client, server = t.pair()
    number = client.detach()
    again = t(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, number))
    again.setblocking(False)
    t(server.send, b"hello")
    t(again.recv, 10)


@script
def closed_by_number(t: Notes) -> None:
    """A descriptor that was left and closed may be that of another socket next."""
    client, _ = t.pair()
    number = client.detach()
    socket.close(number)
    other = t.make(socket.AF_UNIX)
    t.note(other.fileno() == number)
    t(other.getpeername)
    t(other.bind, str(t.folder / "other"))
    one, two = socket.socketpair()
    two.setblocking(False)
    t(one.send, b"hello")
    t(two.recv, 10)
    one.close()
    two.close()


@script
def by_descriptor(t: Notes) -> None:
    """A descriptor that is duplicated by the system stands for the same thing."""
    client, server = t.pair()
    number = os.dup(client.fileno())
    other = socket.socket(fileno=number)
    other.setblocking(False)
    t(other.send, b"hello")
    t(server.recv, 10)
    client.close()
    t(server.recv, 10)
    other.close()
    t(server.recv, 10)


@script
def managed(t: Notes) -> None:
    client, server = t.pair()
    with client as same:
        t.note(same is client)
        t(client.send, b"a")
    t(client.fileno)
    t(server.recv, 10)
    t(server.recv, 10)


@script
def files(t: Notes) -> None:
    client, server = t.pair()
    client.setblocking(True)
    server.settimeout(5)
    with server.makefile("rwb", buffering=0) as file:
        t.note(isinstance(file, socket.SocketIO), file.mode, file.readable(), file.writable())
        t(client.sendall, b"one\ntwo\nthree")
        t(file.readline)
        t(file.read, 2)
        t(file.write, b"answer")
        t(client.recv, 100)
        server.close()
        t(file.read, 100)
    t(client.recv, 10)
    t(client.makefile, "x")
    client, server = t.pair()
    client.settimeout(5)
    server.settimeout(5)
    with client.makefile("w", encoding="utf-8", newline="\n") as text:
        t(text.write, "grüße\n")
        t(text.flush)
    client.close()
    with server.makefile("r", encoding="utf-8") as lines:
        t.note(isinstance(lines, io.TextIOWrapper), list(lines))


@script
def time_outs(t: Notes) -> None:
    one = socket.socket()
    t(one.gettimeout)
    t(one.getblocking)
    for value in (0, 1.5, None, -1, "a", False):
        t(one.settimeout, value)
        t(one.gettimeout)
        t(one.getblocking)
    t.note(one)
    one.close()
    client, server = t.pair()
    server.settimeout(1)
    client.settimeout(1)
    t(client.send, b"hello")
    t(server.recv, 10)
    t(server.sendall, b"x" * 1000)
    t(client.recv, 10_000)
    client.close()
    t(server.recv, 10)


@script
def time_outs_of_accepted(t: Notes) -> None:
    for value in (0, 2.0, None):
        listener = t.listener()
        t.connected(listener)
        listener.settimeout(value)
        t(listener.accept)


@script
def blocking_connections(t: Notes) -> None:
    listener = t.listener()
    client = socket.create_connection(listener.getsockname())
    t.note(client)
    t(socket.create_connection, (HERE, t.free_port()))
    t(lambda: socket.create_connection(listener.getsockname(), timeout=3).gettimeout())
    own = socket.create_connection(listener.getsockname(), source_address=("127.0.0.1", 0))
    t.note(own, own.getsockname())
    server = socket.create_server((HERE, 0))
    t.note(server, server.getsockname())
    t(socket.create_server, listener.getsockname())
    t(socket.create_server, (HERE, 0), family=socket.AF_INET6)
    server.close()


@script
def looks(t: Notes) -> None:
    one = t.make()
    t.note(type(one).__name__, isinstance(one, socket.socket))
    t.note(repr(one).startswith("<socket.socket fd="), "laddr=('0.0.0.0', 0)" in repr(one))
    client, _ = t.pair()
    t.note("raddr=" in repr(client))
    client.close()
    t.note("[closed]" in repr(client))
    t.note(one.family, one.type, one.proto)
    t(hash, None)
