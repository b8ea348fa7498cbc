"""What the text of a source means: plain functions, plain tests."""

import pytest

from fetcher import InvalidSource
from fetcher.sources import ApiSource, DatabaseSource, parse_source


@pytest.mark.parametrize(
    "url", ["http://host/path?a=1", "https://host", "HTTP://host", "http://[::1]:80/"]
)
def test_http_addresses_are_apis(url: str) -> None:
    """A web address is an API, taken as it is."""
    assert parse_source(url) == ApiSource(url)


@pytest.mark.parametrize(
    ("source", "database", "statement"),
    [
        ("sqlite:///people.db?query=SELECT+1", "sqlite:///people.db", "SELECT 1"),
        ("sqlite:////data/a.db?query=SELECT%201%2B1", "sqlite:////data/a.db", "SELECT 1+1"),
        ("postgresql://me@host/name?query=SELECT 1", "postgresql://me@host/name", "SELECT 1"),
        (
            "postgresql:///name?host=/run/postgres&query=SELECT 1&user=me",
            "postgresql:///name?host=%2Frun%2Fpostgres&user=me",
            "SELECT 1",
        ),
    ],
)
def test_database_addresses_hold_a_query(source: str, database: str, statement: str) -> None:
    """The query is taken out of a database's address; every other parameter stays."""
    assert parse_source(source) == DatabaseSource(source, database, statement)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "must begin with http://"),
        ("people.json", "must begin with http://"),
        ("ftp://host/file", "must begin with http://"),
        ("http://", "names no host"),
        ("http:///path", "names no host"),
        ("http://:80/", "names no host"),
        ("sqlite:///people.db", "asks nothing"),
        ("sqlite:///people.db?query=+", "asks nothing"),
        ("postgresql://host/name?qeury=SELECT+1", "asks nothing"),
    ],
)
def test_anything_else_is_refused_with_the_reason(source: str, problem: str) -> None:
    """A text that is no source says what is missing."""
    with pytest.raises(InvalidSource) as caught:
        parse_source(source)

    assert caught.value.source == source
    assert problem in caught.value.problem
