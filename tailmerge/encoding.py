"""The encoding that a file's first bytes name, where its newlines are not bytes; pure."""

from __future__ import annotations

BOMS = (
    (b"\xff\xfe\x00\x00", "UTF-32LE"),
    (b"\x00\x00\xfe\xff", "UTF-32BE"),
    (b"\xff\xfe", "UTF-16LE"),
    (b"\xfe\xff", "UTF-16BE"),
)

STARTS = tuple(bom for bom, _ in BOMS)


def find_encoding(start: bytes) -> str | None:
    """UTF-16 or UTF-32 with its byte order; None where lines end in a byte."""
    if not start.startswith(STARTS):
        return None  # nearly all of many
    return next((encoding for bom, encoding in BOMS if start.startswith(bom)), None)
