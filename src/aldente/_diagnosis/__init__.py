"""Puts into words what a program waits for, and what rules found in it. Independent of pytest.

``await_graph``
    Which task waits for what, its name in the user's code, and which tasks could end the wait; the
    words for what one task waits for.
``inspection``, ``waiting``
    What it finds out about each task: where it stands, which locks it holds, and what it waits for,
    by asyncio or by a library's task group.
``waits``
    Plain facts about waiting tasks, and the words for them.
``deadlock``
    Explains a graph: the cycle, the lock that nothing releases, the event that nothing sets.
``reachability``, ``imported_modules``, ``endless``
    Whether code that goes on could ever wake a waiting task; what leads to modules, and what other
    code has put into them; whether a task ever ends by itself.
``story``, ``story_choice``, ``story_picture``
    What happened in a simulated run, in lines of limited width; which steps matter, and the words
    for them; a small picture.
``finding_text``
    The text of a finding.
"""
