"""Says in words what a program is waiting for, and what was found in it. Knows nothing of pytest.

``await_graph``
    Which task waits for what, and who could end its waiting.
``suspended``, ``waiting``, ``library_groups``, ``holders``, ``naming``
    What it asks of each task: where it stands, what it waits for, by asyncio or by a library's task
    group, which locks it holds, and what the user's code calls them.
``waits``
    Plain facts about waiting tasks.
``deadlock``
    Explains a graph: the cycle, the lock that nobody releases, the event that nobody sets.
``stuck``, ``phrases``
    Which tasks can't go on, and the words for what they wait for.
``story``
    What happened in a simulated run: the steps that matter.
``findings``
    The text of a finding.
"""
