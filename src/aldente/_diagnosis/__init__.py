"""Says in words what a program is waiting for, and what was found in it. Knows nothing of pytest.

``await_graph``
    Which task waits for what, and who could end its waiting.
``deadlock``
    Explains a graph: the cycle, the lock that nobody releases, the event that nobody sets.
``findings``
    The text of a finding.
"""
