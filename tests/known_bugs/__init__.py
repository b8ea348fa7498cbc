"""Small programs modelled on bugs that really happened, each with its fixed twin.

Every program takes one argument, whether it is fixed. Unfixed it passes in the order of stock asyncio
and fails under some schedule; fixed it passes under all of them. `table` lists them.
"""
