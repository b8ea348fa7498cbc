"""What the code blocks of the documentation are: which of them are files."""

from __future__ import annotations

import re

# The languages of blocks that may be files, as they stand behind the backticks.
LANGUAGES = "python", "ini", "yaml", "json"

_NAME = re.compile(r"(?:#|//) (?P<name>[\w./-]+\.(?:py|ini|toml|yml|json))\n")


def file_in(text: str) -> str | None:
    """The name of the file that a code block is; None if it is none.

    >>> file_in("# test_it.py\\nasync def test_it(): ...\\n"), file_in("import asyncio\\n")
    ('test_it.py', None)
    """
    found = _NAME.match(text)
    return None if found is None else found["name"]
