"""What a batch gives back for each source: its data, or what went wrong."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias, TypedDict

from fetcher.errors import FetchError, SourceCancelled


class Fetched(TypedDict):
    """A source and its data: decoded JSON of an API, a list of rows of a database."""

    source: str
    data: object


class Failed(TypedDict):
    """A source without data: `error` says why in a sentence, `kind` names the exception."""

    source: str
    error: str
    kind: str


Result: TypeAlias = Fetched | Failed


def failed(source: str, error: FetchError) -> Failed:
    """Return the result of a source whose fetching raised `error`."""
    return {"source": source, "error": str(error), "kind": type(error).__name__}


def results_in_order(sources: Iterable[str], finished: Mapping[int, Result]) -> list[Result]:
    """Return one result for every source of a batch, in order, also when it was cancelled.

    Args:
        sources: the sources of the batch.
        finished: the results known so far, by position, as `fetch_all_data` hands them to its
            `on_result`.

    Returns:
        The known results; in the place of each one missing, a `Failed` of kind `SourceCancelled`.

    Example:
        >>> results_in_order(["http://a", "http://b"], {1: {"source": "http://b", "data": 2}})[1]
        {'source': 'http://b', 'data': 2}
    """
    return [
        finished.get(position) or failed(source, SourceCancelled(source))
        for position, source in enumerate(sources)
    ]
