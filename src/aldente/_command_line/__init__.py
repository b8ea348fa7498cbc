"""The command line ``python -m aldente``.

``commands``
    Its commands and their arguments, and those that explain a rule or a token.
``searching``
    The commands that run a program, and how they find it.
"""
