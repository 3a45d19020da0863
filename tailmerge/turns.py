"""How soon other threads have their turn while lines are worked on.

Python lets a thread that others wait for go on for 5 ms, and an event loop beside it is as
late. Where lines are only copied that is seldom noticed, since each read and each write lets
the others go on. Where they are sorted or shaped it would be at every turn.

The interval belongs to the whole process: the first of several runs shortens it, and the last
one puts it back, unless somebody else has changed it meanwhile.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 0.0005
"""How long a thread goes on while others wait; docs/design.md says what was measured."""

_gate = threading.Lock()
_holders = 0
_before = _ours = 0.0
"""The interval before, and as it reads since it was shortened, seconds."""


@contextmanager
def short_turns() -> Iterator[None]:
    """Within it threads take turns at least every `SECONDS`."""
    global _holders, _before, _ours
    with _gate:
        _holders += 1
        if _holders == 1:
            _before = sys.getswitchinterval()
            if _before > SECONDS:
                sys.setswitchinterval(SECONDS)
            _ours = sys.getswitchinterval()
    try:
        yield
    finally:
        with _gate:
            _holders -= 1
            if not _holders and sys.getswitchinterval() == _ours:
                sys.setswitchinterval(_before + 5e-7)  # it is cut to whole microseconds
