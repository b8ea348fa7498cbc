"""What the tasks of random racing programs may do, and the class whose instances they share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import Any

# Source code of steps; {n} is the number of the task. What is done twice in another order gives
# something else.
STEPS = {
    "nap": "await asyncio.sleep(0)",
    "local": "for i in range(2):\n    await asyncio.sleep(0)\nmine = mine + 1",
    "sleep": "await asyncio.sleep({seconds})",
    # Variables of a closure, and globals.
    "cell": "x = cell\nawait asyncio.sleep(0)\ncell = x * 2 + {n}",
    "set_cell": "cell = cell * 2 + {n}",
    "other_cell": "other = other * 3 + {n}",
    "read_cell": "mine = mine * 3 + other",
    "lambda": "read = lambda: cell\nmine = mine * 3 + read()",
    "one_line": "def show(): return other\nmine = mine * 3 + show()",
    "nested_write": "def put():\n    nonlocal cell\n    cell = cell * 2 + {n}\nput()",
    "first_of": "mine = mine * 3 + next(cell for _ in (1,))",
    "await_and_read": "mine = mine * 3 + (await helper(box) + cell)",
    "class_body": "class Local: value = cell\nmine = mine * 3 + Local.value",
    "walrus": "if (seen := cell) > 0:\n    mine = mine * 3 + seen",
    "walrus_cell": "[other := other * 2 + i for i in steps]",
    "finally": "try:\n    await asyncio.sleep(0)\nfinally:\n    other = other * 3 + {n}",
    "global": "GLOBAL = GLOBAL * 3 + {n}",
    "read_global": "mine = mine * 3 + GLOBAL",
    "check": "assert cell < 2",
    "catch": "try:\n    await asyncio.sleep(0)\n    if cell > 1:\n        raise KeyError\n"
    "except KeyError:\n    mine = 5",
    # Attributes.
    "attribute": "box.a = box.a * 2 + {n}",
    "augmented": "box.a *= 2",
    "read_attribute": "mine = mine * 3 + box.a",
    "own_attribute": "boxes[{n}].own = {n}",
    "helper": "mine = mine * 5 + await helper(box)",
    "method": "box.add({n})",
    "property": "mine = mine * 3 + box.value",
    "set_property": "box.value = {n}",
    "missing": "mine = mine * 3 + box.missing",
    "delete": "try:\n    del box.extra\nexcept AttributeError:\n    box.extra = mine = {n}",
    "class_attribute": "Box.shared = Box.shared * 2 + {n}",
    "read_class_attribute": "mine = mine * 3 + box.shared",
    "index": "mine = mine * 3 + box[{n}]",
    "set_index": "box[{n}] = mine",
    "length": "mine = mine * 3 + len(box)",
    "truth": "mine = mine * 2 + (not box)",
    "compare": "mine = mine * 2 + (box < 3)",
    "operator": "mine = mine * 3 + (box + {n})",
    "call": "mine = mine * 3 + box()",
    "contains": "mine = mine * 2 + ({n} in box)",
    "iterate": "for i in box:\n    mine = mine * 3 + i",
    "context": "with box as seen:\n    mine = mine * 3 + seen",
    "async_context": "async with box as seen:\n    mine = mine * 3 + seen",
    "async_for": "async for i in box.numbers():\n    mine = mine * 3 + i",
    "async_list": "mine = mine * 3 + sum([i async for i in box.numbers()])",
    "text": "mine = mine * 3 + (f'{{box}}{{box.a:>3}}{{box!r}}' > 'Box(2)')",
    "set_space": "space.value = space.value * 2 + {n}",
    "show_space": "mine = '%s' % space",
    "text_of_space": "mine = f'{{space}}'",
    "vars": "mine = vars(space)['value']",
    "match_class": "match box:\n    case Box(a=seen):\n        mine = mine * 3 + seen",
    # Elements of containers.
    "append": "items.append({n})",
    "put_first": "items[:0] = [{n}]",
    "delete_first": "del items[:1]",
    "extend": "items += [{n}]",
    "count": "mine = mine * 3 + len(items)",
    "empty": "mine = not items",
    "slice": "mine = mine * 3 + len(items[:1])",
    "is_in": "mine = mine * 2 + (1 in items)",
    "match": "match items:\n    case [first, *_]:\n        mine = mine * 3 + first\n"
    "    case _:\n        mine = 7",
    "star": "mine = mine * 3 + len([*items, *table])",
    "through": "for i in items:\n    mine = mine * 2 + i\n    await asyncio.sleep(0)",
    "numbered": "for i, each in enumerate(items):\n    mine = mine * 2 + i + each",
    "first_item": "first, *_ = items or (9,)\nmine = mine * 3 + first",
    "key": "table[{n}] = len(table)",
    "default": "mine = mine * 3 + table['key']",
    "slice_as_key": "mine = mine * 3 + table[1:2]",
    "add_to_key": "table[0] = table[0] * 2 + {n}",
    "double_key": "table[0] *= 2\ntable[0] += {n}",
    "set_default": "mine = mine * 3 + table.setdefault(0, {n})",
    "delete_key": "if 1 in table:\n    del table[1]",
    "keys": "mine = mine * 3 + len(list(table))",
    "pairs": "for key, value in table.items():\n    mine = mine * 3 + value + 1",
    "merge": "mine = mine * 3 + len({{**table, 'more': 1}})",
    "match_key": "match table:\n    case {{0: seen}}:\n        mine = mine * 3 + seen",
    "late_keys": "late = (key for key in table)\nawait asyncio.sleep(0)\nmine = len(list(late))",
    "add": "seen_by.add({n})",
    "union": "seen_by |= {{{n}}}",
    "size": "mine = mine * 3 + len(seen_by)",
    # Iterators.
    "loop": "for i in steps:\n    mine = mine * 2 + i\n    await asyncio.sleep(0)",
    "take": "for i in source:\n    mine = mine * 7 + i\n    break",
    "next": "mine = mine * 7 + next(source)",
    "next_of_generator": "mine = mine * 7 + next(generator)",
    "send": "mine = mine * 7 + generator.send({n})",
    "all": "mine = mine * 2 + all(i > 1 for i in source)",
    "any": "mine = mine * 2 + any(i > 1 for i in source)",
    "tuple": "mine = mine * 3 + len(tuple(i for i in source if i % 2))",
    "list": "mine = mine * 3 + len([i for i in source])",
    "pair": "for i, j in zip(steps, source):\n    mine = mine * 3 + j",
    "either": "for i in source or steps:\n    mine = mine * 7 + i\n    break",
    "one_of_two": "for i in source if mine < 99 else steps:\n    mine = mine * 7 + i\n    break",
    "unpack": "first, second, *_ = source\nmine = mine * 3 + second",
    "is_in_source": "mine = mine * 2 + (3 in source)",
    "extend_by": "items += source",
    "delegate": "mine = mine * 3 + sum(through(source))",
    "other_source": "kept = source",
    "await_and_loop": "mine = len([await asyncio.sleep(0), *[i for i in kept]])",
    "loop_through_kept": "for i in kept:\n    mine = mine * 3 + i\n    break",
    # Primitives of asyncio.
    "set": "event.set()",
    "wait": "await event.wait()",
    "is_set": "mine = mine * 3 + event.is_set()",
    "lock": "async with lock:\n    x = other\n    await asyncio.sleep(0)\n    other = x * 2 + {n}",
    "acquire": "await semaphore.acquire()\nawait asyncio.sleep(0)\nsemaphore.release()",
    "acquire_lock": "await lock.acquire()\nother = other * 2 + {n}\nlock.release()",
    "put": "queue.put_nowait({n})",
    "get": "mine = mine * 5 + await queue.get()",
    "set_future": "if not future.done():\n    future.set_result({n} + 1)",
    "await_future": "mine = mine * 7 + await future",
    "await_either": "mine = mine * 7 + await (future if mine >= 0 else helper(box))",
    "done": "mine = mine * 2 + tasks[0].done()",
    "state": "mine = mine * 2 + ('finished' in '%s' % tasks[0])",
    "cancel": "tasks[({n} + 1) % len(tasks)].cancel()",
    "cancel_last": "tasks[-1].cancel()",
    "call_soon": "asyncio.get_running_loop().call_soon(items.append, -{n})",
    "call_later": "asyncio.get_running_loop().call_later(0, items.append, -{n})",
    "cancel_timer": "timer.cancel()",
    "is_timer_cancelled": "mine = mine * 2 + timer.cancelled()",
    "time_out": "try:\n    async with asyncio.timeout(1):\n        await asyncio.sleep(1.5)\n"
    "except TimeoutError:\n    mine = 77",
    "wait_for": "mine = mine * 5 + await asyncio.wait_for(helper(box), 1)",
    "shield": "mine = mine * 5 + await asyncio.shield(helper(box))",
    "gather": "mine = mine * 5 + sum(await asyncio.gather(helper(box), helper(box)))",
    "raise": "try:\n    raise failure\nexcept KeyError:\n    mine = mine * 3 + 1",
    "is_raised": "mine = mine * 2 + (failure.__traceback__ is None)",
}

# What races with each other; most programs do little else.
THEMES = [
    ("cell", "check", "catch"),
    ("cell", "lambda", "first_of", "class_body", "walrus"),
    ("set_cell", "nested_write", "lambda", "await_and_read"),
    ("other_cell", "read_cell", "lock"),
    ("other_cell", "one_line", "walrus_cell", "finally"),
    ("attribute", "read_attribute", "helper", "method"),
    ("augmented", "property", "set_property", "missing", "delete"),
    ("class_attribute", "read_class_attribute"),
    ("attribute", "index", "length", "truth", "compare", "operator"),
    ("set_index", "call", "contains", "iterate", "match_class"),
    ("augmented", "context", "async_context", "async_for", "async_list", "text"),
    ("set_space", "show_space", "text_of_space", "vars"),
    ("global", "read_global"),
    ("append", "count", "loop"),
    ("append", "put_first", "delete_first", "empty", "slice", "through"),
    ("append", "extend", "is_in", "match", "star", "numbered", "first_item"),
    ("key", "default", "count"),
    ("default", "slice_as_key", "keys", "pairs", "merge"),
    ("add_to_key", "double_key", "set_default", "delete_key", "match_key", "late_keys"),
    ("add", "union", "size"),
    ("take", "next", "loop"),
    ("next", "all", "any", "tuple", "either", "one_of_two"),
    ("next", "list", "pair", "unpack", "is_in_source", "extend_by", "delegate"),
    ("next_of_generator", "send"),
    ("next", "other_source", "await_and_loop", "loop_through_kept"),
    ("set", "wait", "is_set", "other_cell"),
    ("put", "get", "append"),
    ("set_future", "await_future", "await_either", "other_cell"),
    ("done", "state", "nap", "local"),
    ("cancel_last", "nap", "set_cell"),
    ("acquire", "acquire_lock", "other_cell"),
    ("sleep", "other_cell", "local"),
    ("sleep", "set", "wait", "attribute"),
    ("sleep", "gather", "nap"),
    ("wait_for", "shield", "gather", "attribute"),
    ("cancel_timer", "is_timer_cancelled", "nap"),
    ("raise", "is_raised", "nap"),
    ("own_attribute", "local", "loop"),
]


class Box:
    """Something with attributes, whose methods all read or change the same one."""

    shared = 0

    def __init__(self) -> None:
        self.a = self.own = 1

    def add(self, number: int) -> None:
        """Change the attribute."""
        self.a = self.a * 2 + number

    @property
    def value(self) -> int:
        """The attribute, by another name."""
        return self.a

    @value.setter
    def value(self, number: int) -> None:
        self.add(number)

    def __getattr__(self, name: str) -> int:
        if name == "missing":
            return self.a
        raise AttributeError(name)

    def __getitem__(self, number: int) -> int:
        return self.a + number

    def __setitem__(self, number: int, value: int) -> None:
        self.add(number + value)

    def __len__(self) -> int:
        return self.a - 1

    def __lt__(self, number: int) -> bool:
        return self.a < number

    def __add__(self, number: int) -> int:
        return self.a + number

    def __call__(self) -> int:
        return self.a

    def __contains__(self, number: int) -> bool:
        return self.a > number

    def __iter__(self) -> Iterator[int]:
        yield self.a

    def __enter__(self) -> int:
        return self.a

    def __exit__(self, *error: object) -> None:
        self.add(1)

    async def __aenter__(self) -> int:
        return self.a

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.add(2)

    async def numbers(self) -> AsyncIterator[int]:
        """The attribute, twice."""
        yield self.a
        yield self.a

    def __repr__(self) -> str:
        return f"Box({self.a})"


def through(items: Any) -> Iterator[int]:
    """Go through something."""
    yield from items


def numbers() -> Generator[int, int | None, None]:
    """Give numbers, which follow from what is sent."""
    number = 0
    while True:
        number = number * 3 + ((yield number) or 1)
