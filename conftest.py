"""Makes tests of the documentation's Python code blocks.

Each block is executed, and the blocks of a page build on one another. A block with ``>>>`` prompts
must print what it shows. Blocks in other languages are left alone, and so is a block after the
comment ``<!-- skip: next "reason" -->``.
"""

from __future__ import annotations

from doctest import ELLIPSIS

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    # They are for maintainers.
    excludes=["*/README.md"],
).pytest()
