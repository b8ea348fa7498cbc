"""How ``make docs-site`` builds the documentation: Sphinx, with MyST for Markdown and Furo."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

project = "aldente"
author = "the authors of aldente"
_VERSION = (ROOT / "src" / "aldente" / "_version.py").read_text(encoding="utf-8")
release = version = re.search(r'__version__ = "(.+?)"', _VERSION)[1]  # type: ignore[index]

extensions = ["myst_parser", "sphinx_copybutton"]
if "READTHEDOCS" in os.environ:
    # It fetches the inventories of other sites, for which a build elsewhere needs no network.
    extensions.append("sphinx.ext.intersphinx")
root_doc = "index"
exclude_patterns = ["site", "projects"]
html_theme = "furo"
html_title = "aldente"

# Links to headings of pages, as they are written for a repository.
myst_heading_anchors = 4

intersphinx_mapping = {
    "python": ("https://docs.python.org/3", None),
    "pytest": ("https://docs.pytest.org/en/stable", None),
}
# A copied example has no prompts and no output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
nitpicky = True
