"""``python -m aldente``: searches a program at length, replays a schedule of it, and explains."""

from __future__ import annotations

import sys

from aldente._command_line.commands import main

if __name__ == "__main__":
    sys.exit(main())
