"""Random programs whose tasks race for some of several objects, and make, alias, drop and swap them.

Like those of `racing`, they are made as source code. Each task has its own names for the objects, so
that the same line is about another object in each of them.
"""

from __future__ import annotations

import abc
import asyncio
import collections
import copy
import dataclasses
import random
import textwrap
from typing import Any

from tests.conformance.racing import ENDS, Main


class Node:
    """Something with attributes of all kinds."""

    level = 0

    def __init__(self, value: int) -> None:
        self.value = value
        self.items: list[int] = []
        self.table: dict[int, int] = {}
        self.line: collections.deque[int] = collections.deque()
        self.names: set[int] = set()
        self.peer: Any = None
        self.lock = asyncio.Lock()
        self.event = asyncio.Event()
        self.queue: asyncio.Queue[int] = asyncio.Queue()

    def add(self, number: int) -> None:
        """Change two attributes."""
        self.value = self.value * 2 + number
        self.items.append(number)

    def is_full(self) -> bool:
        """Whether it has many items."""
        return len(self.items) > 1

    def held(self) -> list[int]:
        """The items themselves."""
        return self.items

    def link(self, other: Any) -> int:
        """Become a peer."""
        self.peer, other.peer = other, None
        return 0


class Child(Node):
    """An instance of a subclass with an abstract base."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.own = value


class Abstract(Node, abc.ABC):
    """The same with another metaclass."""


@dataclasses.dataclass
class Data(Node):
    """The same with an ``__init__`` that is generated."""

    value: int = 0
    items: list[int] = dataclasses.field(default_factory=list)
    table: dict[int, int] = dataclasses.field(default_factory=dict)
    line: collections.deque[int] = dataclasses.field(default_factory=collections.deque)
    names: set[int] = dataclasses.field(default_factory=set)
    peer: Any = None
    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    event: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    queue: asyncio.Queue[int] = dataclasses.field(default_factory=asyncio.Queue)


class Slotted(Node):
    """The same with a slot."""

    __slots__ = ("value",)


class Property(Node):
    """Its value is an item."""

    @property
    def value(self) -> int:
        """The first item."""
        return (self.items or [3])[0]

    @value.setter
    def value(self, number: int) -> None:
        self.__dict__.setdefault("items", [])[:1] = [number]


class Masked(Node):
    """What its dictionary has as its items is not what they are."""

    def line_of_peer(self) -> Any:
        """The line of its peer, if it has one."""
        return () if self.peer is None else self.peer.line

    def keep(self, items: Any) -> None:
        """Put the items where nobody looks."""
        self.__dict__["items"] = items


setattr(Masked, "items", property(Masked.line_of_peer, Masked.keep))  # noqa: B010 - another type


class Proxy(Node):
    """Some of its attributes are those of its peer."""

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__
        peer = found(self, "__dict__").get("peer")
        return getattr(peer, name) if peer is not None and name == "items" else found(self, name)


class Missing(Node):
    """An attribute that it lacks is that of its peer."""

    def __getattr__(self, name: str) -> Any:
        if name == "extra" and self.peer is not None:
            return self.peer.value
        raise AttributeError(name)


class Same(Node):
    """All instances of a run share their attributes."""

    def __init__(self, value: int) -> None:
        self.__dict__ = Node.shared  # type: ignore[attr-defined]
        super().__init__(value)


class Single(Node):
    """There is one instance."""

    def __new__(cls, value: int) -> Single:
        """The instance of the run."""
        shared = Node.shared  # type: ignore[attr-defined]
        return shared.setdefault("single", object.__new__(cls))  # type: ignore[no-any-return]


KINDS = [
    Node,
    Node,
    Node,
    Child,
    Abstract,
    Data,
    Slotted,
    Property,
    Masked,
    Proxy,
    Missing,
    Same,
    Single,
]

# What a task may do with its objects ``x`` and ``y``, and ``w``, which has two of them.
STEPS = {
    "nap": "await asyncio.sleep(0)",
    "set": "x.value = x.value * 2 + {n}",
    "read": "mine = mine * 3 + x.value",
    "late": "before = x.value\nawait asyncio.sleep(0)\nx.value = before * 2 + {n}",
    "augmented": "x.value += {n}",
    "doubled": "x.value *= 2\nx.value += {n}",
    "own": "x.own = {n}",
    "method": "x.add({n})",
    "question": "if x.is_full():\n    mine = mine * 3 + 1",
    "held": "if x.held():\n    mine = mine * 3 + 1",
    "held_add": "x.held().append({n})",
    "extra": "mine = mine * 3 + getattr(x, 'extra', 0)",
    "set_extra": "x.extra = {n}",
    "read_extra": "try:\n    mine = mine * 3 + x.extra\nexcept AttributeError:\n    mine = 7",
    "delete": "try:\n    del x.extra\nexcept AttributeError:\n    mine = 5",
    "by_name": "setattr(x, 'value', x.value * 2 + {n})",
    "by_dict": "x.__dict__['own'] = {n}",
    "vars": "mine = mine * 3 + vars(x).get('own', 0)",
    "level": "Node.level = Node.level * 2 + {n}",
    "own_level": "x.level = x.level * 2 + {n}",
    "read_level": "mine = mine * 3 + x.level",
    "either": "(x if mine % 2 else y).value = {n} + y.value * 2",
    "walrus": "(z := y).value = z.value * 2 + {n}",
    "inner": "def inner():\n    return x.value\nmine = mine * 3 + inner()",
    "closure": "def inner():\n    nonlocal y\n    y = x\n    return 0\ny.value = inner() + y.value * 2",
    "rebound": "x, y = y, x",
    "again": "x.__init__(mine + 1)",
    "base_again": "Node.__init__(x, mine)",
    # Elements.
    "append": "x.items.append({n})",
    "count": "mine = mine * 3 + len(x.items)",
    "empty": "mine = mine * 2 + (not x.items)",
    "some": "if x.items:\n    mine = mine * 3 + 1",
    "has": "mine = mine * 2 + (1 in x.items)",
    "first": "mine = mine * 3 + (x.items[0] if x.items else 9)",
    "set_first": "if x.items:\n    x.items[0] = x.items[0] * 2 + {n}",
    "extend": "x.items += [{n}]",
    "extend_by": "x.items.extend(y.items)",
    "remove": "if 1 in x.items:\n    x.items.remove(1)",
    "loop": "for each in x.items:\n    mine = mine * 3 + each",
    "sum": "mine = mine * 3 + sum(each for each in x.items)",
    "any": "mine = mine * 2 + any(each > 1 for each in x.items)",
    "all": "mine = mine * 2 + all(each < 2 for each in x.items)",
    "late_sum": "late = (each for each in x.items)\nawait asyncio.sleep(0)\nmine = sum(late)",
    "tuple": "mine = mine * 3 + len(tuple(x.items))",
    "iterator": "w.source = iter(x.items)",
    "next": "mine = mine * 3 + next(w.source, 7)",
    "next_of": "mine = mine * 3 + next(iter(x.items), 8)",
    "drain": "mine = mine * 3 + sum(each for each in w.source)",
    "key": "x.table[{n}] = len(x.table)",
    "keys": "mine = mine * 3 + len(x.table)",
    "get": "mine = mine * 3 + x.table.get(1, 9)",
    "is_key": "mine = mine * 2 + (1 in x.table)",
    "double_key": "x.table[0] = x.table.get(0, 1) * 2 + {n}",
    "pairs": "for key, value in x.table.items():\n    mine = mine * 3 + key + value",
    "push": "x.line.append({n})",
    "pull": "if x.line:\n    mine = mine * 3 + x.line.popleft()",
    "name": "x.names.add({n})",
    "names": "mine = mine * 3 + len(x.names)",
    "union": "x.names |= {{{n}}}",
    # Who holds what.
    "swap": "x.items, y.items = y.items, x.items",
    "share": "y.items = x.items",
    "fresh": "x.items = []",
    "fresh_both": "x.items = y.items = [{n}]",
    "twice": "x.items = [{n}]\nx.items = [{n}, 2]\ny.items = x.items",
    "hand_over": "y.items, x.items = x.items, []",
    "copied": "x.items = list(y.items)",
    "alias": "kept = x.items",
    "through_alias": "kept.append({n})",
    "count_alias": "mine = mine * 3 + len(kept)",
    "empty_alias": "mine = mine * 2 + (not kept)",
    "loop_alias": "for each in kept:\n    mine = mine * 3 + each",
    "into_list": "w.lists.append(x.items)",
    "from_list": "if w.lists:\n    w.lists[-1].append({n})",
    "as_table": "w.table[0] = x.items",
    "from_table": "w.table.get(0, []).append({n})",
    "copy": "z = copy.copy(x)\nz.items.append({n})",
    "keep_copy": "w.b = copy.copy(x)",
    "deep_copy": "y = copy.deepcopy(x.items)",
    "method_of": "w.add = x.items.append",
    "through_method": "w.add({n})",
    "local_list": "mine = mine * 3 + count(x.items)",
    "local_append": "add_to(x.items, {n})",
    "relinked": "mine = mine * 3 + (relink(x, y) + len(x.items))",
    "relinked_truth": "mine = mine * 2 + (relink(x, y) == 0 and not x.items)",
    # Chains.
    "peer": "x.peer = y",
    "no_peer": "x.peer = None",
    "peer_value": "if x.peer is not None:\n    x.peer.value = x.peer.value * 2 + {n}",
    "peer_items": "if x.peer is not None:\n    x.peer.items.append({n})",
    "linked": "if y.peer is not None:\n    mine = mine * 3 + (x.link(y) or 1)",
    "link_and_read": "x.peer = x.peer or y\nx.peer.value = x.link(x) + {n} * x.value",
    "world": "w.a = y",
    "worlds": "w.a, w.b = w.b, w.a",
    "a_value": "w.a.value = w.a.value * 2 + {n}",
    "a_items": "w.a.items.append({n})",
    "a_count": "mine = mine * 3 + len(w.a.items)",
    "b_read": "mine = mine * 3 + w.b.value",
    "other_world": "w.a = w.b",
    "take_a": "x = w.a",
    "take_b": "y = w.b",
    # Objects that come and go.
    "new": "x = Node({n})",
    "new_world": "w.a = Kind({n})",
    "new_both": "w.a = w.b = Node({n})",
    "dropped": "w.b = Node({n})\nw.b = Node({n} + 1)",
    "made": "for i in range(2):\n    z = Node(i)\n    z.value = i\n    z.items.append(i)\nw.b = z",
    "single": "Single({n}).value += {n}",
    "same": "Same({n}).own = {n}",
    "deleted": "w.deleted = Doomed(w, {n})\nw.deleted = None",
    "read_deleted": "mine = mine * 3 + w.last",
    # Primitives of asyncio.
    "lock": "async with x.lock:\n    before = y.value\n    await asyncio.sleep(0)\n"
    "    y.value = before * 2 + {n}",
    "short_lock": "async with x.lock:\n    x.value = x.value * 2 + {n}",
    "acquire": "await x.lock.acquire()\nx.value = x.value * 2 + {n}\nx.lock.release()",
    "is_locked": "mine = mine * 2 + x.lock.locked()",
    "same_lock": "y.lock = x.lock",
    "fail_in_lock": "try:\n    async with x.lock:\n        raise KeyError\nexcept KeyError:\n"
    "    x.value = x.value * 2 + {n}",
    "event": "x.event.set()",
    "is_set": "mine = mine * 2 + x.event.is_set()",
    "wait": "await x.event.wait()",
    "clear": "x.event.clear()",
    "put": "x.queue.put_nowait({n})",
    "get_item": "mine = mine * 3 + await x.queue.get()",
    "put_and_get": "await x.queue.put({n})\nmine = mine * 3 + await x.queue.get()",
    "size": "mine = mine * 3 + x.queue.qsize()",
    "future": "if not w.future.done():\n    w.future.set_result({n})",
    "done": "mine = mine * 2 + w.future.done()",
    "await_future": "mine = mine * 3 + await w.future",
    "other_future": "w.future = asyncio.get_running_loop().create_future()",
    "context": "with Scope(x, {n}):\n    mine = mine * 3 + x.value",
    "fail_in_context": "with Scope(x, {n}):\n    raise KeyError\nmine = mine * 3 + x.value",
    "wrong_context": "with Held(x.items):\n    pass",
    "text": "mine = mine * 2 + (f'{{x.value}}' > '3')",
}

THEMES = [
    ("set", "read", "late", "augmented", "doubled"),
    ("set", "method", "question", "held", "held_add", "count"),
    ("extra", "set_extra", "read_extra", "delete", "peer", "set"),
    ("own", "by_name", "by_dict", "vars", "read"),
    ("level", "own_level", "read_level", "again", "base_again"),
    ("either", "walrus", "inner", "closure", "rebound", "read"),
    ("append", "count", "empty", "some", "has", "first"),
    ("append", "set_first", "extend", "extend_by", "remove", "loop"),
    ("append", "sum", "any", "all", "late_sum", "tuple"),
    ("append", "iterator", "next", "next_of", "drain"),
    ("key", "keys", "get", "is_key", "double_key", "pairs"),
    ("push", "pull", "name", "names", "union"),
    ("append", "count", "swap", "share", "fresh", "hand_over"),
    ("append", "count", "fresh_both", "twice", "copied", "share"),
    ("append", "alias", "through_alias", "count_alias", "empty_alias", "loop_alias", "fresh"),
    ("append", "count", "into_list", "from_list", "as_table", "from_table", "fresh"),
    ("append", "count", "copy", "keep_copy", "deep_copy", "a_items", "take_b"),
    ("append", "count", "method_of", "through_method", "local_list", "local_append"),
    ("append", "relinked", "relinked_truth", "share", "swap", "count"),
    ("peer", "no_peer", "peer_value", "peer_items", "linked", "read", "count"),
    ("link_and_read", "peer", "peer_value", "set", "read"),
    ("world", "worlds", "a_value", "a_items", "a_count", "b_read"),
    ("other_world", "take_a", "take_b", "set", "append", "read", "count"),
    ("new", "new_world", "new_both", "a_value", "a_items", "take_a", "read"),
    ("dropped", "made", "b_read", "take_b", "set", "append"),
    ("single", "same", "set", "read", "own", "new_world"),
    ("deleted", "read_deleted", "b_read", "dropped"),
    ("lock", "short_lock", "acquire", "is_locked"),
    ("lock", "same_lock", "fail_in_lock", "short_lock", "read"),
    ("event", "is_set", "wait", "clear", "set"),
    ("put", "get_item", "put_and_get", "size"),
    ("future", "done", "await_future", "other_future"),
    ("context", "fail_in_context", "wrong_context", "set", "text", "append"),
]

_PROGRAM = """
class World:
    def __init__(self, a, b):
        self.a, self.b, self.c, self.unmade = a, b, Kind(3), object.__new__(Node)
        self.source, self.add, self.last = iter([3, 4]), int, 0
        self.lists, self.table = [], {{}}
        self.future = asyncio.get_running_loop().create_future()

class Doomed:
    def __init__(self, world, number):
        self.world, self.number = world, number

    def __del__(self):
        self.world.last = self.world.last * 2 + self.number

class Scope:
    def __init__(self, node, number):
        self.node, self.number = node, number

    def __enter__(self):
        self.node.value = self.node.value * 2 + self.number

    def __exit__(self, *error):
        self.node.value = self.node.value * 3 + self.number
        return True

class Held:
    def __init__(self, items):
        self.items = items

    def __enter__(self):
        return self

    __exit__ = list.append

def count(items):
    return 9 if not items else len(items)

def add_to(items, number):
    if number:
        items.append(number)

def relink(x, y):
    x.items = y.items
    return 0

async def main():
    Node.level, Node.shared = 0, {{}}
    nodes = [Kind(1), Node(2)]
    world = World(*nodes)
    tasks, result = [], None
{workers}
{end}
    seen = [*nodes, world.a, world.b]
    shown = [(each.value, list(each.items), dict(each.table), list(each.line), set(each.names),
              each.__dict__.get("own"), each.__dict__.get("extra"), each.level,
              each.queue.qsize(), each.lock.locked()) for each in seen]
    other = world.c.value, world.c.__dict__.get("own"), world.unmade.__dict__.get("value")
    return result, shown, other, [len(each) for each in world.lists], Node.level, world.last
"""

_WORKER = """
async def work{number}(x, y, w):
    mine, kept, z, late, before = 0, [], None, (), 0
{body}
    return mine
"""


def source_of_objects(seed: int) -> str:
    """The source code of a random program."""
    draw = random.Random(seed)
    count = draw.choice((2, 2, 3))
    names: list[str] = [*draw.choice(THEMES), *["nap"] * draw.randint(0, 2)]
    if draw.random() < 0.3:
        names += draw.sample(list(STEPS), 3)
    if draw.random() < 0.2:
        names += draw.choice(THEMES)
    length = 4 if count == 2 else 2
    chosen = [draw.choices(names, k=draw.randint(1, length)) for _ in range(count)]
    how = draw.choice(["gather_all", "await", "gather"])
    same = [draw.choice(["nodes[0], nodes[1]", "nodes[1], nodes[0]"]) for _ in range(count)]
    return _source(chosen, same, how, draw.choice(KINDS).__name__)


def source_of_pair_of_objects(
    one: str, other: str, kind: str = "Node", *, is_other: bool = False
) -> str:
    """The source code of a program of two tasks, which do something to the same object.

    Args:
        one: the name of a step of the first task, or its source code.
        other: that of the second.
        kind: the class of the first object.
        is_other: whether the tasks have them in another order.
    """
    names = ["nodes[0], nodes[1]", "nodes[1], nodes[0]" if is_other else "nodes[0], nodes[1]"]
    return _source([[one], [other]], names, "gather_all", kind)


def _source(steps: list[list[str]], names: list[str], how: str, kind: str) -> str:
    workers = "".join(
        _WORKER.format(
            number=number,
            body=textwrap.indent(
                # Who begins is no matter of schedules.
                "\n".join(STEPS.get(name, name).format(n=number + 1) for name in ("nap", *chosen)),
                "    ",
            ),
        )
        for number, chosen in enumerate(steps)
    )
    calls = ", ".join(f"work{number}({each}, world)" for number, each in enumerate(names))
    end = f"tasks += map(asyncio.create_task, [{calls}])\n{ENDS[how]}"
    program = _PROGRAM.format(
        workers=textwrap.indent(workers, "    "), end=textwrap.indent(end, "    ")
    )
    return f"Kind = {kind}\n{program}"


def program_of_objects(source: str) -> Main:
    """The program with a source code."""
    names: dict[str, Any] = {"asyncio": asyncio, "copy": copy}
    names |= {kind.__name__: kind for kind in KINDS}
    exec(compile(source, "<program>", "exec"), names)
    main: Main = names["main"]
    return main


def racing_objects(seed: int) -> Main:
    """The random program of a seed."""
    return program_of_objects(source_of_objects(seed))
