"""What every task of every test did and when, as a trace for viewers: ``--aldente-trace``.

``recorder``
    Records the steps of tasks, and what they wait for in between.
``explored``
    The failed run of an explored test.
``hooks``
    Connects it to the tests, and writes the file.

Nothing of this is imported without the option.
"""
