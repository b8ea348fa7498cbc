"""The rules' findings: collected while tests run, charged to tests, and shown.

``hooks``
    The hooks that connect the rules to the phases of every test.
``collector``
    Collects findings, and assigns them to their phase.
``phase``
    Fails a test, or adds to its report.
``deadlock``
    A deadlock as a finding, and the open connections that a server waits for.
``own_errors``
    Errors in aldente's own code while it watches, which change no test's outcome.
``summary``, ``baseline``
    The findings of a whole run: at its end, and as files.

Only ``hooks``, ``collector`` and ``own_errors`` are imported before there is something to report.
"""
