"""All async tests without a mark, explored once they have passed: ``--aldente-explore``.

``hooks``
    Has each test explored after its own tear-down, and reports what came of it.
``again``
    Sets a test up again, and runs it under many schedules.
``wide_fixtures``
    Which fixtures that are wider than a test are made anew for its runs.
``reasons``
    Why tests are left alone, known before and after they are run.
``summary``
    What came of all tests, at the end of the whole test run.

Imported only when all tests are explored, or a schedule of one of them is run again.
"""
