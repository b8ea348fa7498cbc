"""The rules: one pitfall of async tests a module. Knows nothing of pytest.

Each rule is a module with a ``RULE``, and what sees the pitfall: a context manager that reports an
`aldente._records.Finding` whenever it does, until it is left; a watcher of the watchdog's thread;
or a function that looks at what is left.

``registry``
    Every rule by its name.
``never_awaited``, ``background_error``, ``blocking_call``, ``nested_loop``, ``plain_mock``
    Seen as they happen.
``deadlock``, ``slow_step``
    Seen by the watchdog.
``leaked_task``, ``leaked_asyncgen``, ``leaked_resource``, ``leaked_thread``
    Seen at the end of a scope.
``unused_answer``
    Seen by the doubles themselves.
``late_warnings``, ``resource_origins``, ``open_resources``
    What ``leaked_resource`` knows: where and by which test something was made, who closes it, what
    is open on a loop, and what the clients of libraries hold.
``dropped_mocks``, ``handed_over``, ``dropped_managers``
    What ``never_awaited`` says of coroutines of an AsyncMock, of functions that a loop calls, and
    of async context managers that nothing enters.
``coroutine_origins``, ``new_objects``
    Which test has made a coroutine, by what the garbage collector has that is new.
``loop_owners``
    Which test a loop or task belongs to that outlives it.
``watchdog``, ``time_limit``, ``no_progress``
    The thread that looks at running loops, and what else it looks for.
``mock_uses``
    Which mock an awaited expression comes of, for ``plain_mock``.
"""
