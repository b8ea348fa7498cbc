"""The rules: one module per pitfall of async tests. They do not depend on pytest.

The module of a rule has its ``RULE`` and what detects it: a context manager that reports an
`aldente._records.Finding` for each pitfall that it sees while entered; a watcher that the
watchdog's thread calls; or a function that inspects what a test has left behind. The other modules
are parts of such detectors.

``registry``
    Every rule by its name.
``never_awaited``, ``background_error``, ``blocking_call``, ``nested_loop``, ``plain_mock``
    Report while the test runs.
``deadlock``, ``slow_step``
    The watchdog's thread reports them.
``leaked_task``, ``leaked_asyncgen``, ``leaked_resource``, ``leaked_thread``
    Report at the end of a scope.
``unused_answer``
    Seen by the doubles themselves.
``late_warnings``, ``resource_origins``, ``open_resources``, ``after_import``
    What ``leaked_resource`` knows: where and by which test something was made, who closes it, what
    is open on a loop, and what the clients of libraries hold, whenever these are imported.
``dropped_mocks``, ``handed_over``, ``dropped_managers``
    Used by ``never_awaited`` for coroutines of an AsyncMock, of functions that a loop calls, and
    for async context managers that are never entered.
``coroutine_origins``, ``new_objects``
    Which test made a coroutine, found among the garbage collector's young objects.
``loop_owners``
    Which test made a loop or task that outlives it.
``watchdog``, ``time_limit``, ``no_progress``
    The thread that inspects running loops, and its other checks.
``mock_uses``
    Which mock an awaited expression comes from, for ``plain_mock``.
"""
