"""Short scripts of calls of sockets, each of which notes what the calls have come to.

They run on the system's sockets and on simulated ones; what they note has to be the same.
"""

from tests.unit.socket_scripts import (
    addresses as addresses,
)
from tests.unit.socket_scripts import (
    connecting as connecting,
)
from tests.unit.socket_scripts import (
    datagrams as datagrams,
)
from tests.unit.socket_scripts import (
    descriptors as descriptors,
)
from tests.unit.socket_scripts import (
    options as options,
)
from tests.unit.socket_scripts import (
    streams as streams,
)
