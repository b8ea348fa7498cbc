"""Stand-ins for async collaborators. Knows nothing of our loops, nor of pytest.

``double``, ``plain``
    The doubles: `Double`, which is awaited, and `PlainDouble`, which is called.
``specs``, ``members``
    What the real thing says of its stand-in: how it is called, what it gives, what it has.
``controls``, ``answers``, ``gates``, ``results``, ``answer_time``
    What a double answers, when it does, and what a call of it gives.
``calls``, ``tables``, ``ordering``
    What was asked of doubles, told as a table, and in which order.
``patching``, ``targets``
    Doubles in the place of the real thing, and the mistakes that can be made with that.
``ending``, ``reporting``
    What was left undone at the end, and who is told.
``mock_compat``
    The only module that touches private names of `unittest.mock`.
"""
