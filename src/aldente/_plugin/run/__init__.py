"""What runs async tests and fixtures; imports asyncio, so it is imported with the first of them.

``registry``
    The event loops of a session and what lives on them.
``tests``, ``fixtures``
    Make an async test or fixture into a function that pytest can call.
``other_loops``
    Says whose loop something belongs to that was used on another one.
``raising``
    Raises what they have raised, as the user should see it.
"""
