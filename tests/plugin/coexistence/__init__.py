"""aldente and another plugin in the same run, each tool as its users have it."""

# Imported here because a run in this process forgets what it has imported itself. Nobody would know
# any more that the processes of multiprocessing are only its helpers, and a later test would wait
# for them to connect. And a package remembers its modules, so that pytest would not know the
# `mock.patch` of a later run.
import multiprocessing.forkserver
import multiprocessing.resource_tracker  # noqa: F401
import unittest.mock  # noqa: F401
