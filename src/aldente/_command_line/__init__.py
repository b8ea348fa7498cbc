"""The command line ``python -m aldente``.

``commands``
    Its commands and their arguments.
``programs``
    Finds the program that a command names.
``searching``, ``showing``
    The commands that run a program; those that explain a rule or a token.
"""
