"""Where the program begins: the installed command, and `python -m tailmerge`."""

from __future__ import annotations

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Import the command and run it."""
    gc.disable()  # nothing that is imported is garbage: looking for some costs a short run a tenth
    from tailmerge.cli import main

    gc.freeze()
    gc.enable()
    main()


if __name__ == "__main__":
    main()
