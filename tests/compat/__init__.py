"""Compares aldente with pytest-asyncio on the tests of public packages; README.md tells how."""
