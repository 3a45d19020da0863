"""How names, errors and counts stand in a sentence; pure."""

from __future__ import annotations

import errno
import os
import re

NAMED = {
    errno.ENOENT: "no such file",
    errno.EACCES: "permission denied",
    errno.EISDIR: "is a directory",
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.ETIMEDOUT: "the file system does not answer",
}


def show(name: str) -> str:
    """A file name as a message may hold it, and a shell takes it: quoted when odd.

    No control characters: they, and bytes that are not UTF-8, are written as `$'\\xff'`.
    """
    if not name:
        return "''"
    if not name.isprintable():
        return "$'" + "".join(map(_escape, name)) + "'"
    if not re.search(r"""^~|[ \t'"\\$`;&|<>(){}!#]""", name):
        return name
    import shlex

    return shlex.quote(name)


def _escape(character: str) -> str:
    """One character between `$'` and `'`."""
    if short := {"\n": "\\n", "\t": "\\t", "\r": "\\r", "'": "\\'", "\\": "\\\\"}.get(character):
        return short
    if character.isprintable():
        return character
    name = os.fsencode(character) if "\udc80" <= character <= "\udcff" else character.encode()
    return "".join(f"\\x{byte:02x}" for byte in name)


def explain(error: OSError) -> str:
    """An error of the system in a few lower-case words."""
    if error.errno is None:
        return str(error.strerror or error)  # one of our own, in its own words
    return NAMED.get(error.errno) or os.strerror(error.errno).lower()


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
