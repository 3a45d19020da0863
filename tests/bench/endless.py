"""Keeps an input's backlog from ending: endless.py INPUT OUTPUT AHEAD MOST SECONDS.

Appends blocks so that the input is AHEAD bytes longer than the output, until it has MOST
bytes or the time is over.
"""

from __future__ import annotations

import os
import sys
import time

LINE = b"2026-11-23T12:00:00.000 endless INFO worker: a line of a log, about as long as most\n"
BLOCK = LINE * (1024 * 1024 // len(LINE))


def main(path: str, output: str, ahead: int, most: int, seconds: float) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    size, until = os.fstat(fd).st_size, time.monotonic() + seconds
    while size < most and time.monotonic() < until:
        if size - os.stat(output).st_size < ahead:
            size += os.write(fd, BLOCK)
        else:
            time.sleep(0.001)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
