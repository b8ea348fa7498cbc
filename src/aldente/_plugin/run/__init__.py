"""Runs async tests and fixtures; imports asyncio, so it is imported with the first of them.

``loops``
    The event loops of a session and what lives on them.
``tests``, ``fixtures``
    Turn an async test or fixture into a function that pytest can call; the hooks for tests.
``virtual``
    The virtual-time loops of tests, and their clocks; which tests can't have them.
``loop_watch``
    Connects the rules about event loops to the loops that run tests and fixtures, and to what tests
    leave on these.
``stuck_runs``
    Runs that can't go on.
``messages``
    Prints messages on the terminal while a test runs.
``other_loops``
    Explains which loop an object belongs to that was used on another one.
``outcomes``
    Raises the exceptions of async code as the user should see them.
"""
