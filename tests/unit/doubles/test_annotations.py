"""What annotations say of attributes: as text, as objects, or computed only when asked for."""

from __future__ import annotations

import asyncio
import sys
import types
from typing import Any

import pytest

from aldente import Double, patch

# Since Python 3.14 annotations are computed when somebody asks; with the import they are text.
WAYS = {"text": "from __future__ import annotations\n", "as they are": ""}

SOURCE = """
import dataclasses
import typing
from dataclasses import InitVar, dataclass
from typing import ClassVar

class Line:
    async def send(self, data): ...

@dataclass
class Radio:
    line: Line
    volume: int = dataclasses.field(init=False)
    kinds: ClassVar[list[str]]
    makers: typing.ClassVar
    key: InitVar[str]
    code: dataclasses.InitVar[int]

class Louder(Radio):
    factor: float

@dataclass
class Quieter(Radio):
    _: dataclasses.KW_ONLY
    factor: float = 0.5
"""

# With names that are there for type checkers only.
HIDDEN = """
import typing
if typing.TYPE_CHECKING:
    from somewhere import Secret, ClassVar, InitVar

class Hidden:
    secret: Secret
    shared: ClassVar[Secret]
    given: InitVar[Secret]

    async def get(self, key: Secret) -> Secret: ...
"""

# Whatever is asked of them is computed, and fails.
BROKEN = """
import functools

class Broken:
    def __init__(self, size: "Size" | None): ...
    async def get(self, key: "Key" | None) -> 1 / 0: ...
    @classmethod
    def make(cls, key: "Key" | None): ...
    @staticmethod
    def find(key, *, all: "All" | None = None): ...
    def __call__(self, key: "Key" | None) -> 1 / 0: ...

class Inheriting(Broken):
    pass

def decorated(function):
    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        return await function(*args, **kwargs)
    return wrapper

async def fetch(key: "Key" | None) -> 1 / 0: ...

wrapped = decorated(fetch)
partial = functools.partial(fetch)
method = Broken(1).get

def later() -> 1 / 0:
    return 0
"""


def module_of(source: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of its own, which does not inherit how annotations are kept in this one."""
    module = types.ModuleType("radios")
    monkeypatch.setitem(sys.modules, "radios", module)
    exec(compile(source, "radios.py", "exec", dont_inherit=True), vars(module))
    return module


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """The beginning of a module, that says what annotations are in it."""
    return WAYS[request.param]


@pytest.fixture
def radios(way: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with dataclasses."""
    return module_of(way + SOURCE, monkeypatch)


@pytest.mark.parametrize("name", ["Radio", "Louder"])
def test_a_double_has_what_instances_have(radios: Any, name: str) -> None:
    """The fields of a dataclass are there, and its class variables, but not what it is only given."""
    double = Double(getattr(radios, name))
    assert isinstance(double.line.send, Double)
    assert double.volume is not None
    assert double.kinds is not None
    assert double.makers is not None
    for given in ("key", "code"):
        with pytest.raises(AttributeError, match=given):
            getattr(double, given)


def test_the_double_of_a_class_has_what_the_class_has(radios: Any) -> None:
    """The fields of instances are not attributes of their class; a patched class refuses them too."""
    with patch("radios.Louder", only_here=True) as louder:
        assert louder.kinds is not None
        assert louder.makers is not None
        for field in ("line", "volume", "factor", "key"):
            with pytest.raises(AttributeError, match=field):
                getattr(louder, field)
        assert louder.return_value.factor is not None
        louder.return_value.line.send.assert_not_awaited()


def test_names_for_type_checkers_only(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody can resolve is an attribute all the same, and is told apart by its text."""
    if not way and sys.version_info < (3, 14):
        pytest.skip("this Python computes annotations at once, which would fail")
    hidden = Double(module_of(way + HIDDEN, monkeypatch).Hidden)
    assert asyncio.run(hidden.get("a")) is not None
    with pytest.raises(TypeError, match="missing a required argument: 'key'"):
        hidden.get()
    assert hidden.secret is not None
    assert hidden.shared is not None
    with pytest.raises(AttributeError, match="given"):
        _ = hidden.given


def test_what_says_how_fields_are_given(radios: Any) -> None:
    """What stands before the fields that are given by their names is no attribute."""
    double = Double(radios.Quieter)
    assert double.factor is not None
    with pytest.raises(AttributeError, match="'_'"):
        _ = double._


@pytest.fixture
def broken(way: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module whose annotations fail when they are computed."""
    if not way and sys.version_info < (3, 14):
        pytest.skip("this Python computes annotations at once, which would fail")
    return module_of(way + BROKEN, monkeypatch)


def test_annotations_that_fail(broken: Any) -> None:
    """Annotations that fail when they are computed do no harm, and calls are checked all the same."""
    double = Double(broken.Inheriting)
    assert asyncio.run(double.get("a")) is not None
    functions = [broken.fetch, broken.wrapped, broken.partial, broken.method]
    called = [double, double.get, double.make, double.find, *map(Double, functions)]
    for call in called:
        with pytest.raises(TypeError, match="missing a required argument: 'key'"):
            call()
    double.find(1, all=2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'every'"):
        double.find(1, every=2)


def test_annotations_of_a_class_that_fail(broken: Any) -> None:
    """A class is called as its ``__init__`` says, whose annotations may fail."""
    for name in ("Broken", "Inheriting"):
        with patch(f"radios.{name}", only_here=True) as made:
            made(1)
            with pytest.raises(TypeError, match="missing a required argument: 'size'"):
                made()


def test_an_answer_whose_annotations_fail(broken: Any) -> None:
    """A function that says how long a call takes may have any annotations."""
    double = Double(broken.fetch).takes(broken.later)
    assert asyncio.run(double("a")) is not None
