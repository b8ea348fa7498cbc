"""Has the randomness of a program begin with a seed, the same in every run."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from aldente import _python_compat


@contextlib.contextmanager
def kept_randomness() -> Iterator[None]:
    """While entered, `random` may be seeded; afterwards it goes on from where it was."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


@contextlib.contextmanager
def seeded_randomness(seed: int) -> Iterator[None]:
    """While entered, `random`, `secrets`, `uuid.uuid4` and ``os.urandom`` follow from a seed.

    Not for security, of course: it is for tests. What has imported ``os.urandom`` by name goes on
    with real randomness, and so does what draws from other sources.

    Args:
        seed: the seed.

    >>> import secrets
    >>> with kept_randomness(), seeded_randomness(1):
    ...     random.random(), secrets.token_hex(4)
    (0.13436424411240122, '5d9a1cd3')
    """
    random.seed(seed)
    restore = _python_compat.replace_random_bytes(random.Random(seed ^ _BYTES).randbytes)
    try:
        yield
    finally:
        restore()


# So that bytes are others than those of `random`.
_BYTES = 0x62797465
