"""Stand-ins for async collaborators. Independent of aldente's loops and of pytest.

``double``
    The doubles: `Double`, which a program awaits, and `PlainDouble`, which it calls.
``spec``, ``annotated``, ``shape``
    The shape that a spec gives its double: its signature, the kind of its result, its attributes.
``state``
    The state of a double, and the methods by which a test sets what it answers.
``keeping``, ``answers``, ``gates``
    Whether a double can give an answer; the answers; what a call waits for.
``delivery``
    The path of a call to its answer, and what the call returns.
``calls``, ``assertions``
    The calls of doubles, as a table, and assertions on them and on their order.
``patch``, ``targets``, ``collection``
    Patches with doubles, mistakes in what they patch, and all the doubles of a test.
``leftovers``
    What was left undone at the end, and the receiver of these findings.
``mock_compat``
    The only module that touches private names of `unittest.mock`.
"""
