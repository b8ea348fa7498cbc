"""The rules' findings: collected while tests run, charged to tests, and shown.

``hooks``
    The hooks that connect the rules to the phases of every test, and report errors in aldente's own
    code while it watches.
``collector``
    Collects findings, and assigns them to their phase.
``phase``
    Fails a test, or adds to its report.
``deadlock``
    A deadlock as a finding, and the open connections that a server waits for.
``summary``, ``baseline``, ``for_machines``
    The findings of a whole run: at its end, as known ones, and as other programs read them.

Only ``hooks`` and ``collector`` are imported before there is something to report.
"""
