"""The rules: one pitfall of async tests a module. Knows nothing of pytest.

Each module has a ``RULE``, and a context manager ``watch(report, ...)`` that calls ``report`` with a
`aldente._records.Finding` whenever it sees the pitfall, until it is left.
"""
