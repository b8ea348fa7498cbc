"""Scripts of calls of sockets: options."""

from __future__ import annotations

import socket

from tests.unit.socket_scripts.notes import HERE, Notes, script


@script
def options(t: Notes) -> None:
    one = t.make()
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    ):
        t(one.getsockopt, level, option)
        t(one.setsockopt, level, option, value)
        t(one.getsockopt, level, option)
    t(one.getsockopt, socket.SOL_SOCKET, socket.SO_TYPE)
    t(one.getsockopt, socket.SOL_SOCKET, socket.SO_DOMAIN)
    t(one.getsockopt, socket.SOL_SOCKET, socket.SO_PROTOCOL)
    t(one.getsockopt, socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    t(one.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR, 4)
    t(one.getsockopt, 77, 77)
    t(one.getsockopt, "a", 1)
    t(one.setsockopt, socket.SOL_SOCKET, socket.SO_ERROR, 4)
    listener = t.listener()
    t(listener.getsockopt, socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    client = t.connected(listener)
    t(client.setsockopt, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    t(client.getsockopt, socket.IPPROTO_TCP, socket.TCP_NODELAY)
    t(client.getsockopt, socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    accepted, _ = listener.accept()
    t(accepted.getsockopt, socket.SOL_SOCKET, socket.SO_TYPE)
    t(accepted.getsockopt, socket.SOL_SOCKET, socket.SO_PROTOCOL)
    t(t.make(kind=socket.SOCK_DGRAM).getsockopt, socket.SOL_SOCKET, socket.SO_TYPE)


@script
def error_as_bytes(t: Notes) -> None:
    client = t.make()
    client.connect_ex((HERE, t.free_port()))
    t.settle()
    t(client.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR, 4)
    t.error(client)
