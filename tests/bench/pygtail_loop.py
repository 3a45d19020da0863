"""pygtail in a loop, as its users do it: what is new of each file, every so often.

pygtail_loop.py OUTPUT INTERVAL [--once] INPUT...
"""

from __future__ import annotations

import sys
import time

from pygtail import Pygtail


def main(output: str, interval: str, *words: str) -> None:
    once, inputs = "--once" in words, [word for word in words if word != "--once"]
    with open(output, "ab") as out:
        while True:
            for name in inputs:
                offsets = f"{output}.{name.replace('/', '_')}.offset"
                for line in Pygtail(name, offset_file=offsets):
                    out.write(line if isinstance(line, bytes) else line.encode())
                out.flush()
            if once:
                return
            time.sleep(float(interval))


if __name__ == "__main__":
    main(*sys.argv[1:])
