"""A limit of time for what is awaited: `async with deadline(seconds)`; None is no limit.

asyncio.wait_for is not used: until Python 3.12 it forgets that it was cancelled where what it
waits for has just come, and the task goes on for ever.
"""

import sys

if sys.version_info >= (3, 11):
    from asyncio import timeout as deadline
else:
    from async_timeout import timeout as deadline  # which aiohttp brings there

__all__ = ['deadline']
