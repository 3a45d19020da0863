"""Writes lines at a steady rate into several files: steady.py FOLDER FILES RATE SECONDS.

Each line carries the nanoseconds of the monotonic clock at its writing, then its proof:
`<ns> w<writer> <sequence> <payload>`. When all is written the number of lines of each file
is printed. In a process of its own, so that it shares no interpreter with who measures.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

PAYLOAD = b"a line of a log, about as long as most lines of a log are, and no longer"
TICK = 0.001
"""Seconds between two bursts: at 200,000 lines/s in 8 files some 25 lines each."""


def main(folder: Path, files: int, rate: int, seconds: float) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    fds = [os.open(folder / f"input{number}.log", flags) for number in range(files)]
    begin, written = time.monotonic(), 0
    while (now := time.monotonic() - begin) < seconds:
        owed = int(now * rate / files) - written
        for number, fd in enumerate(fds):
            word, stamp = b" w%d " % number, b"%d" % time.monotonic_ns()
            lines = (
                b"%b%b%d %b\n" % (stamp, word, n, PAYLOAD) for n in range(written, written + owed)
            )
            os.write(fd, b"".join(lines))
        written += owed
        time.sleep(TICK)
    print(written)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
