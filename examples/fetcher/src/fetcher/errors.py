"""Every exception of the fetcher: each keeps its facts and builds its message from them."""

import re

_PASSWORD = re.compile(r"(?<=://)([^/?#@:]*):[^/?#@]*@")


def _shown(source: str) -> str:
    """Return the source as a message may show it: without its password."""
    return _PASSWORD.sub(r"\1:***@", source)


class FetchError(Exception):
    """A source could not be fetched.

    Attributes:
        source: the source as the caller wrote it.
    """

    def __init__(self, source: str, *facts: object) -> None:
        # The facts are also the exception's arguments, so that it survives pickling and copying.
        super().__init__(source, *facts)
        self.source = source

    def __str__(self) -> str:
        return f"{_shown(self.source)} could not be fetched"


class InvalidSource(FetchError):
    """The text of a source does not say what to fetch; `problem` says what is wrong with it."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(source, problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{_shown(self.source)!r} is not a source: {self.problem}"


class SourceUnreachable(FetchError):
    """Nothing could be had from the source; `reason` is what the network or the system said."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{_shown(self.source)} could not be reached: {self.reason}"


class SourceTimeout(FetchError):
    """The source took longer than it was given: `seconds`."""

    def __init__(self, source: str, seconds: float) -> None:
        super().__init__(source, seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{_shown(self.source)} took longer than {self.seconds:g} s"


class SourceCancelled(FetchError):
    """The batch was cancelled before the source was done.

    Never raised, since asyncio has its own `CancelledError` for that: it words the results of the
    sources that were left unfinished.
    """

    def __str__(self) -> str:
        return f"{_shown(self.source)} was cancelled before it was done"


class BadStatus(FetchError):
    """The API refused: its answer has the HTTP status `status`, in words `phrase`."""

    def __init__(self, source: str, status: int, phrase: str) -> None:
        super().__init__(source, status, phrase)
        self.status = status
        self.phrase = phrase

    def __str__(self) -> str:
        return f"{_shown(self.source)} answered {self.status} {self.phrase}".rstrip()


class BadJSON(FetchError):
    """The API's answer is not JSON; `problem` says why, `excerpt` is how the answer begins."""

    def __init__(self, source: str, problem: str, excerpt: str) -> None:
        super().__init__(source, problem, excerpt)
        self.problem = problem
        self.excerpt = excerpt

    def __str__(self) -> str:
        return (
            f"{_shown(self.source)} did not answer with JSON: {self.problem}; "
            f"the answer begins {self.excerpt!r}"
        )


class NotConnected(FetchError):
    """A query was sent through a database client that is not connected."""

    def __str__(self) -> str:
        return (
            f"{_shown(self.source)} is not connected: call `await client.connect()` first, "
            "or use `async with DatabaseClient(...) as client`"
        )


class QueryFailed(FetchError):
    """The database refused `statement`; `reason` is what it said."""

    def __init__(self, source: str, statement: str, reason: str) -> None:
        super().__init__(source, statement, reason)
        self.statement = statement
        self.reason = reason

    def __str__(self) -> str:
        return f"{_shown(self.source)} refused the query {self.statement!r}: {self.reason}"


class MissingDriver(FetchError):
    """The source needs `package`, which the extra `extra` of the fetcher installs."""

    def __init__(self, source: str, package: str, extra: str) -> None:
        super().__init__(source, package, extra)
        self.package = package
        self.extra = extra

    def __str__(self) -> str:
        return (
            f"{_shown(self.source)} needs the package {self.package!r}, which is not installed: "
            f"install `fetcher[{self.extra}]`"
        )


class InvalidArgument(ValueError):
    """An argument has a value that is not allowed.

    Attributes:
        name: the argument.
        value: what was given.
        allowed: what may be given, in words.
    """

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(name, value, allowed)
        self.name = name
        self.value = value
        self.allowed = allowed

    def __str__(self) -> str:
        return f"{self.name}={self.value!r} ({type(self.value).__name__}): must be {self.allowed}"
