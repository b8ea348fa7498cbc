"""The rules: one pitfall of async tests a module. Knows nothing of pytest.

Each rule is a module with a ``RULE``, and what sees the pitfall: a context manager that reports an
`aldente._records.Finding` whenever it does, until it is left; a watcher of the watchdog's thread;
or a function that looks at what is left.

``never_awaited``, ``background_error``, ``blocking_call``, ``nested_loop``, ``plain_mock``
    Seen as they happen.
``deadlock``, ``slow_step``
    Seen by the watchdog.
``leaked_task``, ``leaked_asyncgen``, ``leaked_resource``, ``leaked_thread``
    Seen at the end of a scope.
``resource_makings``, ``resource_watching``, ``open_resources``, ``library_clients``,
``waited_clients``
    What ``leaked_resource`` knows: where and by which test something was made, who closes it, what
    is open on a loop, and what the clients of libraries hold.
``dropped_mocks``, ``handed_over``
    What ``never_awaited`` says of coroutines of an AsyncMock, and of functions that a loop calls.
``dropped_managers``
    Async context managers that nobody enters, which are findings of ``never_awaited``.
``loop_makers``
    Which test a loop or task belongs to that outlives it.
``watchdog``, ``time_limit``, ``no_progress``
    The thread that looks at running loops, and what else it looks for.
``frozen``
    What has stopped the clocks, for reports of what does not end.
``new_objects``
    What the garbage collector has that is new, for ``never_awaited``.
``rules``
    Every rule by its name.
``mock_uses``
    Which mock an awaited expression comes of, for ``plain_mock``.
"""
