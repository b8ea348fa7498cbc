"""Scripts of calls of sockets: what addresses sockets have, and which are taken."""

from __future__ import annotations

import socket

from tests.unit.socket_scripts.notes import HERE, Notes, script


@script
def names_before_and_after(t: Notes) -> None:
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        one = t.make(family)
        t(one.getsockname)
        t(one.getpeername)
        listener = t.listener(family)
        t(listener.getsockname)
        t(listener.getpeername)
        client = t.connected(listener)
        t(client.getsockname)
        t(client.getpeername)
        found = t(listener.accept)
        accepted = found[0]
        t(accepted.getsockname)
        t(accepted.getpeername)
        client.close()
        t(accepted.getpeername)
        t(accepted.recv, 10)
        t(accepted.getpeername)
        t(client.getsockname)
        t(client.getpeername)


@script
def binding(t: Notes) -> None:
    one = t.make()
    t(one.bind, (HERE, 0))
    t(one.bind, (HERE, 0))
    t(one.getsockname)
    other = t.make()
    t(other.bind, one.getsockname())
    t(other.getsockname)
    t(other.bind, ("0.0.0.0", one.getsockname()[1]))
    t(other.bind, ("", 0))
    t(other.getsockname)
    third = t.make()
    t(third.bind, ("8.8.8.8", 0))
    t(third.bind, ("127.0.0.2", one.getsockname()[1]))
    t(third.getsockname)


@script
def binding_with_wrong_arguments(t: Notes) -> None:
    one = t.make()
    for address in (
        *(None, HERE, (HERE,), (HERE, "80"), (HERE, 70000), (HERE, -1), (HERE, 1, 2), (1, 2)),
        ((b"127.0.0.1", 0)),
    ):
        t(one.bind, address)
    t(one.getsockname)
    six = t.make(socket.AF_INET6)
    t(six.bind, ("::1", 0, 0))
    t(six.getsockname)
    unix = t.make(socket.AF_UNIX)
    for path in (None, 5, ("a", 1), str(t.folder / ("x" * 200))):
        t(unix.bind, path)
    t(unix.bind, str(t.folder / "nowhere" / "it"))
    t(unix.bind, str(t.folder / "it"))
    t(unix.bind, str(t.folder / "it2"))
    t(unix.getsockname)
    t(t.make(socket.AF_UNIX).bind, str(t.folder / "it"))


@script
def port_of_a_closed_socket(t: Notes) -> None:
    one = t.make()
    one.bind((HERE, 0))
    address = one.getsockname()
    one.close()
    other = t.make()
    t(other.bind, address)
    t(other.listen)


@script
def reuse_address(t: Notes) -> None:
    for is_set in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for is_listening in (False, True):
            one, other = t.make(), t.make()
            for each, value in zip((one, other), is_set, strict=True):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, value)
            one.bind((HERE, 0))
            if is_listening:
                one.listen()
            t(other.bind, one.getsockname())
            t(other.listen)
            t(one.listen)
            one.close()
            other.close()


@script
def reuse_port(t: Notes) -> None:
    for is_set in ((0, 1), (1, 0), (1, 1)):
        one, other = t.make(), t.make()
        for each, value in zip((one, other), is_set, strict=True):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, value)
        one.bind((HERE, 0))
        one.listen()
        t(other.bind, one.getsockname())
        t(other.listen)
        one.close()
        other.close()


@script
def reuse_address_of_datagrams(t: Notes) -> None:
    for is_set in ((0, 0), (0, 1), (1, 1)):
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            one, other = (t.make(kind=socket.SOCK_DGRAM) for _ in range(2))
            for each, value in zip((one, other), is_set, strict=True):
                each.setsockopt(socket.SOL_SOCKET, option, value)
            one.bind((HERE, 0))
            t(other.bind, one.getsockname())
            one.close()
            other.close()


@script
def address_of_another_kind(t: Notes) -> None:
    one = t.listener()
    t(t.datagrams().getsockname)
    other = t.make(kind=socket.SOCK_DGRAM)
    t(other.bind, one.getsockname())


@script
def both_families(t: Notes) -> None:
    """A socket of IPv6 that is bound to any address takes IPv4's port too."""
    for is_only in (0, 1):
        six = t.make(socket.AF_INET6)
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, is_only)
        six.bind(("::", 0))
        six.listen()
        port = six.getsockname()[1]
        four = t.make()
        t(four.bind, ("0.0.0.0", port))
        four.close()
        client = t.make()
        t(client.connect_ex, (HERE, port))
        t.settle()
        t.error(client)
        found = t(six.accept)
        if found:
            t(found[0].getsockname)
            t(found[0].getpeername)
        t(client.getpeername)


@script
def port_of_connected_sockets(t: Notes) -> None:
    """An accepted connection keeps the port of its listener."""
    listener = t.listener()
    address = listener.getsockname()
    client = t.connected(listener)
    accepted, _ = listener.accept()
    listener.close()
    t(t.make().bind, address)
    other = t.make()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    t(other.bind, address)
    t(other.listen)
    t(client.send, b"a")
    accepted.setblocking(False)
    t(accepted.recv, 5)


@script
def time_wait(t: Notes) -> None:
    """After a server has closed first, its port is taken for those that do not reuse it."""
    for is_set in (0, 1):
        listener = t.listener()
        address = listener.getsockname()
        client = t.connected(listener)
        accepted, _ = listener.accept()
        listener.close()
        accepted.close()
        t.settle()
        client.close()
        t.settle()
        other = t.make()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, is_set)
        t(other.bind, address)


@script
def client_that_closed_first(t: Notes) -> None:
    listener = t.listener()
    address = listener.getsockname()
    client = t.connected(listener)
    accepted, _ = listener.accept()
    client.close()
    t.settle()
    accepted.close()
    listener.close()
    t.settle()
    t(t.make().bind, address)
