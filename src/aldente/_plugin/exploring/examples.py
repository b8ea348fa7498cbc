"""Examples of Hypothesis: how often each is run."""

from __future__ import annotations

from aldente._plugin.exploring.explored import Budget

# Which part of its runs a test has for each of the examples that Hypothesis gives.
_EXAMPLES_PER_BUDGET = 10


def runs_for_example(budget: Budget) -> int:
    """How many runs there are for each example at most."""
    return max(budget.runs // _EXAMPLES_PER_BUDGET, 1)
