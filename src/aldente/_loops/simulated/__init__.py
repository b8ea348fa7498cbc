"""The simulated loop: asyncio whose every timing is a recorded choice."""
