"""Compares aldente with pytest-asyncio on the tests of public packages, and tries it beside other tools."""
