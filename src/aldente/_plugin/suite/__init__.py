"""All async tests without a mark, explored once they have passed: ``--aldente-explore``.

``hooks``
    Explores each test after its own tear-down, and reports the results of it and of all tests.
``again``
    Sets a test up again, and runs it under many schedules; which fixtures that are wider than a
    test are made again for these.
``reasons``
    Why tests are not explored, known before and after they are run.

Imported only when all tests are explored, or a schedule of one of them is run again.
"""
