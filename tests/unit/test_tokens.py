"""Schedules in printable form."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aldente
from aldente._schedules import ORDERS, Schedule
from aldente._simulation.tokens import decode, digest_of, encode
from tests.outside_input.inputs import with_checksum

schedules = st.builds(
    Schedule,
    choices=st.lists(st.integers(0, 40), max_size=200).map(tuple),
    counts=st.just(()),
    order=st.sampled_from(ORDERS),
    slack=st.sampled_from([1.0, 0.0, 0.25, 7.5]),
    seed=st.integers(0, 2**64 - 1),
    digest=st.none() | st.integers(0, 0xFFFF),
    python=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 999)),
)


def trimmed(choices: tuple[int, ...]) -> tuple[int, ...]:
    """Choices without the zeros at their end, which go without saying."""
    left = list(choices)
    while left and left[-1] == 0:
        left.pop()
    return tuple(left)


@given(schedules)
def test_a_token_stands_for_its_schedule(schedule: Schedule) -> None:
    """A schedule comes back from its token, but for zeros at its end."""
    found = decode(encode(schedule))
    assert found.choices == trimmed(schedule.choices)
    assert (found.order, found.slack, found.seed) == (schedule.order, schedule.slack, schedule.seed)
    assert (found.digest, found.python) == (schedule.digest, schedule.python)


def test_a_minimal_failure_is_short() -> None:
    """Five deviations in a run of ten thousand choices make a token of less than 40 characters."""
    choices = [0] * 10_000
    for place in (17, 200, 201, 3_000, 9_999):
        choices[place] = 3
    token = encode(Schedule(tuple(choices), counts=(4,) * 10_000))
    assert len(token) < 40
    assert decode(token).choices == tuple(choices)


def test_a_token_keeps_a_sum_over_the_options() -> None:
    """A replay can tell at its end whether there were other options."""
    assert decode(encode(Schedule((1,), counts=(2, 3)))).digest == digest_of([2, 3])
    assert digest_of([2, 3]) != digest_of([3, 2])


@given(st.text(max_size=60))
def test_any_text_is_a_token_or_a_clear_error(text: str) -> None:
    """Whatever is given for a token, nothing but InvalidToken is raised."""
    with contextlib.suppress(aldente.InvalidToken):
        decode(text)


@given(schedules, st.data())
def test_a_changed_character_is_noticed(schedule: Schedule, data: st.DataObject) -> None:
    """A token with one wrong character is refused: its checksum sees to all changes so small."""
    token = encode(schedule)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_"))
    changed = token[:place] + letter + token[place + 1 :]
    try:
        found = decode(changed)
    except aldente.InvalidToken:
        return
    assert changed == token, found


_ENDS = "It ends in the middle, or its numbers are too large."
_OLDER = "An older aldente made it, whose schedules chose durations in another way."


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "It must be a string, not NoneType."),
        ("", "It is too short."),
        ("4ABVN", "Its version, '4', is not known to this aldente."),
        ("1AKHFyw", _OLDER),
        ("2AKHFyw", _OLDER),
        ("3ABV%", "It has characters that no token has."),
        ("3AB+/AB", "It has characters that no token has."),
        ("3AKHF\ud800", "It has characters that no token has."),
        ("3AAAA", "Its checksum is wrong: a part of it is missing or has changed."),
        (
            pickle.dumps(print).decode("latin-1"),
            "Its version, '\\x80', is not known to this aldente.",
        ),
    ],
)
def test_a_malformed_token_is_explained(token: object, reason: str) -> None:
    """What is wrong with a token is said in one sentence."""
    with pytest.raises(aldente.InvalidToken) as caught:
        decode(token)  # type: ignore[arg-type]
    assert caught.value.reason == reason
    assert caught.value.token == token


@pytest.mark.parametrize(
    ("token", "fix"),
    [
        ("3AAAA", "copy the token as it was printed, all of it."),
        ("1AKHFyw", "search anew, or use the version that printed it."),
        (
            "4ABVN",
            "copy the token as it was printed; if a newer aldente printed it, use that version.",
        ),
    ],
)
def test_what_to_do_with_a_token_of_another_version(token: str, fix: str) -> None:
    """A token of another version is as it was printed, so its fix is another one."""
    with pytest.raises(aldente.InvalidToken) as caught:
        decode(token)
    assert str(caught.value).splitlines()[-1] == f"Fix: {fix}"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x20", "It has parts that this version of aldente does not know."),
        (b"\2\x40\0", _ENDS),
        (b"\4", _ENDS),
        (b"\x08\0", _ENDS),
        (b"\x10\3", _ENDS),
        (b"\0\0\xff", _ENDS),
        (b"\0\1", _ENDS),
        (b"\4" + b"\xff" * 20 + b"\1", _ENDS),
        (b"\0\0\xff\xff\xff\x7f\1", _ENDS),
        (b"\2" + struct.pack(">d", float("nan")), "Its slack is not a number of at least 0."),
        (b"\2" + struct.pack(">d", -1.0), "Its slack is not a number of at least 0."),
        (b"\4" + b"\x80" * 9 + b"\2", f"Its seed is greater than {2**64 - 1}."),
    ],
)
def test_a_forged_token_is_explained(payload: bytes, reason: str) -> None:
    """A token whose checksum is right, of which the rest is not, is refused as others are."""
    token = with_checksum(payload)
    with pytest.raises(aldente.InvalidToken) as caught:
        decode(token)
    assert caught.value.reason == reason


def test_a_token_does_not_depend_on_the_process() -> None:
    """Another process with another hash seed makes the same token."""
    script = (
        "from aldente._simulation.tokens import encode; from aldente._schedules import Schedule;"
        "print(encode(Schedule((0, 3, 0, 1), (2, 4, 2, 2), 'io', 0.5, 9)))"
    )
    tokens = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert tokens == {encode(Schedule((0, 3, 0, 1), (2, 4, 2, 2), "io", 0.5, 9)) + "\n"}
