"""The label of a line: which input it comes from, by a template; pure."""

from __future__ import annotations

import difflib
import os.path
import string

FIELDS = ("path", "name", "stem", "host")

STDIN = "stdin"
"""What standard input, whose path is "-", has for a name."""


class Label:
    """A template with `{path}`, `{name}`, `{stem}` and `{host}`."""

    def __init__(self, template: str, host: str) -> None:
        """`host` is what `{host}` becomes.

        Raises:
            ValueError: the template has other fields, a stray brace or a newline.
        """
        self._parts = list(_parse(template))
        self._host = host

    def render(self, path: str) -> str:
        """The label of the input that was given, or matched, as `path`.

        Control characters of a name are escaped: a newline would end the line.
        """
        name = STDIN if path == "-" else os.path.basename(path.rstrip("/")) or path
        stem = os.path.splitext(name)[0]
        values = {"path": path, "name": name, "stem": stem, "host": self._host}
        return "".join(
            text + (_escape(values[field]) if field else "") for text, field in self._parts
        )


def _parse(template: str) -> list[tuple[str, str | None]]:
    if "\n" in template:
        raise ValueError("a label with a newline would end the line: leave it out")
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{error}; write a brace that is meant as one twice: {{{{") from None
    for _, field, spec, conversion in parts:
        if field is not None and (field not in FIELDS or spec or conversion):
            raise ValueError(_explain(field, bool(spec or conversion)))
    return [(text, field) for text, field, _, _ in parts]


def _explain(field: str, formatted: bool) -> str:
    *others, last = (f"{{{name}}}" for name in FIELDS)
    known = f"there are {', '.join(others)} and {last}"
    if formatted and field in FIELDS:
        return f"{{{field}}} takes no format: {known}"
    near = difflib.get_close_matches(field, FIELDS, 1)
    guess = f" (did you mean {{{near[0]}}}?)" if near else ""
    return f"{{{field}}} is no field{guess}: {known}"


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if char < " " or "\x7f" <= char < "\xa0" else char
        for char in text
    )
