"""The token bucket, exact to the second on virtual time."""

import aldente

from tickets.limiter import RateLimiter


async def test_a_burst_is_let_through(clock: aldente.Clock) -> None:
    """A client may make as many requests at once as its bucket holds."""
    limiter = RateLimiter(per_second=1, burst=3)

    assert [limiter.take("ann") for _ in range(4)] == [0, 0, 0, 1]


async def test_the_bucket_fills_up(clock: aldente.Clock) -> None:
    """After as long as it said, there is a token again, and not before."""
    limiter = RateLimiter(per_second=0.5, burst=1)
    limiter.take("ann")

    await clock.advance(1.5)
    assert limiter.take("ann") == 0.25 / 0.5
    await clock.advance(0.5)
    assert limiter.take("ann") == 0


async def test_the_bucket_holds_no_more_than_its_burst(clock: aldente.Clock) -> None:
    """An hour of silence is worth no more than a full bucket."""
    limiter = RateLimiter(per_second=1, burst=2)
    limiter.take("ann")
    await clock.advance(3600)

    assert [limiter.take("ann") for _ in range(3)] == [0, 0, 1]


async def test_each_client_has_its_own() -> None:
    """What one has used up, another has still."""
    limiter = RateLimiter(per_second=1, burst=1)

    assert [limiter.take(name) for name in ("ann", "bob", "ann")] == [0, 0, 1]


async def test_full_buckets_are_dropped(clock: aldente.Clock) -> None:
    """Those who were silent for long take no memory, those who were not are still limited."""
    limiter = RateLimiter(per_second=1, burst=1, most_clients=2)
    limiter.take("ann")
    await clock.advance(0.5)
    limiter.take("bob")
    await clock.advance(0.75)
    limiter.take("cid")

    assert limiter.take("bob") == 0.25
    assert len(limiter._buckets) == 2
