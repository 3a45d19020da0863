"""Where the program begins: the installed command, and `python -m tailmerge`."""

from __future__ import annotations

import gc
import signal
import sys
from typing import NoReturn

YOUNG = 20_000
"""So many objects more, and it is looked for garbage: ten thousand inputs make a million, none
of which is garbage, and looking at each 700 more takes a third of the start."""


def main() -> NoReturn:
    """Import the command and run it."""
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever interrupts an import wants no trace
    sys.orig_argv.clear()  # the words once more: of ten thousand inputs a MB
    gc.disable()  # nothing that is imported is garbage: looking for some costs a short run a tenth
    _import_asyncio()
    from tailmerge.cli import main

    gc.freeze()
    gc.set_threshold(YOUNG)
    gc.enable()
    signal.signal(signal.SIGINT, interrupt)
    main()


def _import_asyncio() -> None:
    """As where Python was built without TLS: loading it costs a short run another tenth."""
    if "ssl" in sys.modules:
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        import asyncio  # noqa: F401
    finally:
        del sys.modules["ssl"]


if __name__ == "__main__":
    main()
