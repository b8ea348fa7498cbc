"""What runs async tests and fixtures; imports asyncio, so it is imported with the first of them.

``loops``
    The event loops of a session and what lives on them.
``tests``, ``fixtures``
    Make an async test or fixture into a function that pytest can call.
``virtual``
    The virtual-time loops of tests, and their clocks.
``rules``
    Joins the rules about event loops to the loops that run tests and fixtures.
``telling``
    Says something on the terminal while a test runs.
``policies``
    Puts the event loop policies in force that a test suite sets.
``other_loops``
    Says whose loop something belongs to that was used on another one.
``outcomes``
    Raises what async code has raised, as the user should see it.
"""
