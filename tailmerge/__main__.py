"""Where the program begins: the installed command, and `python -m tailmerge`."""

from __future__ import annotations

import gc
from typing import NoReturn

YOUNG = 20_000
"""So many objects more, and it is looked for garbage: ten thousand inputs make a million, none
of which is garbage, and looking at each 700 more takes a third of the start."""


def main() -> NoReturn:
    """Import the command and run it."""
    gc.disable()  # nothing that is imported is garbage: looking for some costs a short run a tenth
    from tailmerge.cli import main

    gc.freeze()
    gc.set_threshold(YOUNG)
    gc.enable()
    main()


if __name__ == "__main__":
    main()
