"""A run of tailmerge that prints the seconds from its first read to its last write.

timed_merge.py OUTPUT STATE|- INPUT...
"""

from __future__ import annotations

import asyncio
import sys
import time

from tailmerge import run_fully_async
from tailmerge.system import System


class Timed(System):
    """Notes when the first read of a block began and when the last write ended."""

    first = last = 0.0

    def read_into(self, fd: int, view: memoryview, offset: int) -> int:
        self.first = self.first or time.perf_counter()
        return super().read_into(fd, view, offset)

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        count = super().write(fd, data)
        self.last = time.perf_counter()
        return count


def main(output: str, state: str, *inputs: str) -> None:
    system = Timed()
    state_path = None if state == "-" else state
    merge = run_fully_async(inputs, 0.1, output, once=True, state_path=state_path, system=system)
    asyncio.run(merge)
    print(system.last - system.first)


if __name__ == "__main__":
    main(*sys.argv[1:])
