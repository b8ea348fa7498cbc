"""A network inside a simulated run: asyncio's own code runs on simulated sockets.

What is simulated is Linux, not asyncio: sockets without a wire. So transports, servers, TLS,
datagrams and ``sock_*`` methods are those of asyncio, and libraries that make sockets themselves
find what they know.

``pipes``
    One direction of a connection: what is on its way, how it is cut, and what has arrived.
``addresses``
    Which sockets of a host have which addresses, and what is at one.
``links``
    What is between two hosts, and how it delays, loses and holds what they send.
``kernel``
    The network of a run: its endpoints, and which of them are ready.
``endpoints``
    The ends of TCP connections, and listening sockets.
``unix``
    The same for Unix sockets, and the two ends of ``socket.socketpair``.
``datagrams``
    The sockets of datagrams.
``names``
    Host names and services; on which host code runs.
``sockets``
    The sockets that programs see, which take the place of Python's while a simulated loop runs.
``hosts``, ``disk``
    What runs on each host, and how it crashes; its files, of which a crash loses some.
``faults``
    Faults that the explorer may choose: resets, partitions, crashes.
``refusals``
    What is refused, because nothing in the run answers it.
``creation``
    Which sockets are simulated: those that the thread of a simulated loop makes, or gives to it.
``loop``
    The part of the simulated loop that asyncio's code for sockets calls.
"""
