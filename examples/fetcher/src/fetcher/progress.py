"""The bar shown on standard error while results come in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fetcher.results import Result


@contextmanager
def progress_bar(total: int, *, shown: bool) -> Iterator[Callable[[Result], None]]:
    """Show a progress bar, and give a function to call with each result that comes in.

    Args:
        total: the number of results to come.
        shown: whether to draw anything.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failures]} failed"),
        TimeElapsedColumn(),
    )
    failures = 0
    console = Console(stderr=True, quiet=not shown)
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("fetching", total=total, failures=failures)

        def advance(result: Result) -> None:
            nonlocal failures
            failures += "error" in result
            progress.update(bar, advance=1, failures=failures)

        yield advance
