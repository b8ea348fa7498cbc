"""What the rules have found: collected while tests run, charged to them, and shown.

``hooks``
    The hooks that join the rules to the phases of every test.
``collector``
    Takes findings, and gives them to the phase they belong to.
``phase``
    Fails a test, or adds to its report.
``deadlock``
    A deadlock as a finding.
``own_errors``
    Errors in aldente's own watching, which change no test's outcome.
``summary``, ``baseline``
    What a whole run has found: at its end, and as files.

Only ``hooks``, ``collector`` and ``own_errors`` are imported before there is something to report.
"""
