"""Says in words what a program is waiting for, and what was found in it. Knows nothing of pytest.

``await_graph``
    Which task waits for what, what the user's code calls it, and who could end its waiting.
``inspection``, ``waiting``
    What it asks of each task: where it stands, which locks it holds, and what it waits for, by
    asyncio or by a library's task group.
``waits``
    Plain facts about waiting tasks.
``deadlock``
    Explains a graph: the cycle, the lock that nothing releases, the event that nothing sets.
``reachability``
    Whether code that goes on could ever do anything to a task that waits.
``wording``
    The words for what tasks wait for.
``story``
    What happened in a simulated run: the steps that matter.
``finding_text``
    The text of a finding.
"""
