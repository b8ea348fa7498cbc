"""Run the fetcher as `python -m fetcher`."""

from fetcher.command_line import main

if __name__ == "__main__":
    raise SystemExit(main())
