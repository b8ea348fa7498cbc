"""Stand-ins for async collaborators. Knows nothing of our loops, nor of pytest.

``double``
    The doubles: `Double`, which is awaited, and `PlainDouble`, which is called.
``spec``, ``annotated``, ``members``, ``shape``
    What the real thing says of its stand-in: how it is called, what it gives, what it has.
``controls``, ``keeping``, ``answers``, ``gates``, ``results``
    What a double answers, whether it can, when it does, and what a call of it gives.
``delivery``, ``waiting``, ``state``
    The way of a call to its answer, what it waits for there, and what doubles know.
``calls``, ``assertions``, ``ordering``
    What was asked of doubles, told as a table, and in which order.
``patch``, ``targets``, ``collection``
    Doubles in the place of the real thing, the mistakes that can be made with that, and all the
    doubles of a test.
``leftovers``
    What was left undone at the end, and who receives that.
``checks``
    Checks what doubles are given.
``mock_compat``
    The only module that touches private names of `unittest.mock`.
"""
