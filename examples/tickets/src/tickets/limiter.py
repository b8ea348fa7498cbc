"""A token bucket for each client."""

import time
from dataclasses import dataclass


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class RateLimiter:
    """Says who may make a request now.

    Args:
        per_second: how many tokens a bucket gets in a second.
        burst: how many tokens it holds.
        most_clients: how many buckets are kept; the full ones are dropped when there are more.
    """

    def __init__(self, per_second: float, burst: int, most_clients: int = 10_000) -> None:
        self._per_second = per_second
        self._burst = burst
        self._most_clients = most_clients
        self._buckets: dict[str, _Bucket] = {}

    def take(self, client: str) -> float:
        """Take a token of a client; return 0, or in how many seconds there will be one."""
        now = time.monotonic()
        bucket = self._buckets.get(client)
        if bucket is None:
            self._drop_full_ones(now)
            bucket = self._buckets[client] = _Bucket(self._burst, now)
        bucket.tokens = self._level(bucket, now)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_second
        bucket.tokens -= 1
        return 0.0

    def _level(self, bucket: _Bucket, now: float) -> float:
        return min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._per_second)

    def _drop_full_ones(self, now: float) -> None:
        # A full bucket says no more than none at all.
        if len(self._buckets) >= self._most_clients:
            self._buckets = {
                client: bucket
                for client, bucket in self._buckets.items()
                if self._level(bucket, now) < self._burst
            }
