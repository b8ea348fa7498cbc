"""What comes from outside, malformed: how it is made, and what reads it.

``inputs``
    Malformed bytes, texts and JSON, made of valid ones or at random.
``parsers``
    The table of all that reads such input, with what may come of it.
``plugin_parsers``
    Those that need pytest.
"""
