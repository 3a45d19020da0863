"""A strptime format as a shape: what `--time-format` names.

Each directive becomes an expression; what is found is read by the same code as the formats
that are recognised, so that it is as fast. Names of days and months are English.
"""

from __future__ import annotations

import re
import time

from tailmerge.grammar import HALF, WEEKDAY, WORD, Shape

DIRECTIVES = {
    "Y": rb"(?P<Y>\d{4})",
    "y": rb"(?P<y>\d\d)",
    "m": rb"(?P<m>1[0-2]|0[1-9]|[1-9])",
    "d": rb"(?P<d>3[01]|[12]\d|0[1-9]|[1-9]| [1-9])",
    "b": WORD.removesuffix(rb"\.?"),
    "j": rb"(?P<j>36[0-6]|3[0-5]\d|[12]\d\d|0\d\d|\d\d?)",
    "H": rb"(?P<H>2[0-3]|[01]\d|[ ]?\d)",
    "M": rb"(?P<M>[0-5]\d|\d)",
    "S": rb"(?P<S>60|[0-5]\d|\d)",
    "p": HALF.removeprefix(rb"(?:[ \xa0]|\xe2\x80\xaf)?"),
    "z": rb"(?P<z>Z|[+-]\d\d:?\d\d(?::?\d\d)?|[+-]\d\d(?!\d))",
    "s": rb"(?P<E>\d{1,11})",
    "f": rb"(?P<frac>\d{1,9})",
    "a": WEEKDAY.removesuffix(rb"[,.]? {1,2})") + rb")",
    "G": rb"\d{4}",
    "V": rb"(?:5[0-3]|[0-4]\d|\d)",
    "u": rb"[1-7]",
    "U": rb"(?:5[0-3]|[0-4]\d|\d)",
    "W": rb"(?:5[0-3]|[0-4]\d|\d)",
    "w": rb"[0-6]",
}
"""What each directive looks like; the rest are made of these."""
SAME = {"e": "d", "I": "H", "k": "H", "l": "H", "B": "b", "h": "b", "A": "a", "N": "f", "L": "f"}
TOGETHER = {
    "T": "%H:%M:%S",
    "R": "%H:%M",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "r": "%I:%M:%S %p",
    "c": "%a %b %e %H:%M:%S %Y",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
}
"""Directives for several; those of the locale as they are in C."""


WEEKS = {"G", "V", "u", "U", "W", "w"}
"""Dates by the week: strptime itself reads these."""


def check_time_format(text: str) -> None:
    """Check that a format can be used for the times of lines.

    Raises:
        ValueError: with a sentence that says what to change.
    """
    make_shape(text)


def make_shape(text: str) -> Shape:
    """Return the shape that a format describes.

    Raises:
        ValueError: with a sentence that says what to change.
    """
    pieces = _split(text)
    used = [name for name, _ in pieces if name]
    _check_use(text, used)
    names = b"|".join(re.escape(name.encode()) for name in sorted({*time.tzname, "UTC", "GMT"}))
    zone = rb"(?P<z>" + names + rb"|[A-Z][A-Za-z]{1,4})"
    parts = [b"", b"", b""]
    at = 0
    for name, literal in pieces:
        if name == "f":
            parts[1] = DIRECTIVES["f"]
            at = 2
        else:
            parts[at] += zone if name == "Z" else DIRECTIVES[name] if name else literal
    head, fraction, tail = parts
    before = rb"(?<![0-9])" if used and pieces[0][0] else b""
    pattern = (
        before + rb"(?P<head>" + head + rb")" + (fraction or rb"(?P<frac>(?!))?")
        + rb"(?P<tail>" + tail + rb")(?!\d)"
    )  # fmt: skip
    return Shape(text, pattern, strptime=_find_strptime(pieces) if WEEKS & set(used) else "")


def _find_strptime(pieces: list[tuple[str, bytes]]) -> str:
    """The format for strptime, of the head and the tail without the fraction."""
    is_halved = any(name == "p" for name, _ in pieces)
    parts = []
    for name, literal in pieces:
        if name:
            parts.append("" if name == "f" else "%I" if is_halved and name == "H" else "%" + name)
        else:
            text = " " if literal == rb"\s+" else re.sub(rb"\\(.)", rb"\1", literal).decode()
            parts.append(text.replace("%", "%%"))
    return "".join(parts)


def _split(text: str) -> list[tuple[str, bytes]]:
    """The directives of a format, by the name of their expression, and the text between."""
    pieces: list[tuple[str, bytes]] = []
    for name, blank, other in re.findall(r"%[-_0^#]?(\d?.?)|(\s+)|([^%\s]+)", text, re.DOTALL):
        if blank:
            pieces.append(("", rb"\s+"))
        elif other:
            pieces.append(("", re.escape(other.encode())))
        else:
            pieces += _find_directive(text, name)
    return pieces


def _find_directive(text: str, name: str) -> list[tuple[str, bytes]]:
    name = name.lstrip("369") if name[-1:] in ("N", "L") else name
    if name in TOGETHER:
        return _split(TOGETHER[name])
    name = SAME.get(name, name)
    if name == "%":
        return [("", b"%")]
    if name in ("n", "t"):
        return [("", rb"\s+")]
    if name not in DIRECTIVES and name != "Z":
        raise ValueError(f"{text!r} has %{name}, which is no directive for a time; see strptime")
    return [(name, b"")]


def _check_use(text: str, used: list[str]) -> None:
    twice = sorted({name for name in used if used.count(name) > 1})
    if twice:
        raise ValueError(f"{text!r} has %{twice[0]} twice")
    if {"z", "Z"} <= set(used):
        raise ValueError(f"{text!r} has two zones, %z and %Z")
    if "s" in used:
        return
    dated = {"d", "j", "V", "U", "W"} & set(used)
    if "H" not in used and not dated:
        raise ValueError(f"{text!r} names neither a day nor a time, for example %d/%m/%Y %H:%M:%S")
    if "d" in used and not {"m", "b"} & set(used):
        raise ValueError(f"{text!r} has a day without a month; add %m or %b")
    if "H" not in used and {"M", "S"} & set(used):
        raise ValueError(f"{text!r} has a time without an hour; add %H")
    if "H" in used and {"Y", "m", "b"} & set(used) and not dated:
        raise ValueError(f"{text!r} has a month or a year without a day; add %d")
    if "p" not in used and re.search(r"%[-_0^#]?[Il]", text.replace("%%", "")):
        raise ValueError(f"{text!r} has %I without %p; use %H")
    if "p" in used and "H" not in used:
        raise ValueError(f"{text!r} has %p without an hour; add %I")
