"""aldente and another plugin in the same run, each tool as its users have it."""

# Imported here because a run in this process forgets what it has imported itself, except that a
# package remembers its modules: pytest would not know the `mock.patch` of a later run.
import unittest.mock  # noqa: F401
