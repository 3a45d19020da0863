"""What killed runs left beside their state: unfinished checkpoints."""

from __future__ import annotations

import os

from tailmerge.system import System, is_regular


def remove_leftovers(system: System, state_path: str) -> None:
    """Remove the unfinished checkpoints of a state that the caller has locked.

    One that is locked is a run's that has no state yet, and loses against the caller.
    """
    folder, base = os.path.split(state_path)
    try:
        names = [name for name in system.names(folder or ".") if name.startswith(base + ".")]
    except OSError:
        return  # closed to us: they do no harm
    for name in names:
        pid = name.removeprefix(base + ".").removesuffix(".tmp")
        if name.endswith(".tmp") and pid.isascii() and pid.isdigit():
            _remove(system, os.path.join(folder, name))


def _remove(system: System, path: str) -> None:
    try:
        fd = system.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return  # not ours
    try:
        system.lock(fd)
        if is_regular(system.fstat(fd)):
            system.unlink(path)
    except OSError:
        pass  # somebody uses it, or it is gone
    finally:
        system.close(fd)
