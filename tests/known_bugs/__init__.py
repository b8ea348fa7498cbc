"""Small programs modelled on bugs that really happened, each with its mended twin.

Every program takes one argument, whether it is mended. Unmended it passes in the order of stock asyncio
and fails under some schedule; mended it passes under all of them. `table` lists them.
"""
