"""The man page, from the same list as --help."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Iterator

from tailmerge.options import (
    DESCRIPTION,
    EXAMPLES,
    EXIT_CODES,
    INPUT,
    PARAMETERS,
    SUMMARY,
    Option,
    find_groups,
)

ENVIRONMENT = (
    (
        "TAILMERGE_OPTION",
        "Each option can be set as a variable: TAILMERGE_INTERVAL=1, TAILMERGE_ROTATE_WAIT=10."
        " A switch takes 1 or 0. An option that is typed goes before its variable.",
    ),
    ("TERM", "Where it is dumb, or not set, there is no status line."),
)

FILES = (
    (
        "OUTPUT.tailmerge",
        "The state: up to where each input was merged. A text file, for its owner alone.",
    ),
    (
        "OUTPUT.tailmerge.batch",
        "What came from pipes and is being written, so that a kill does not lose it.",
    ),
)

SIGNALS = (
    ("SIGTERM, SIGHUP", "What is under way is written, then exit code 0."),
    ("SIGINT", "The same, then it ends as killed by SIGINT."),
    ("SIGUSR1", "A table on standard error: where each input stands."),
)

SEE_ALSO = ("cat(1)", "tail(1)", "logrotate(8)", "cron(8)", "systemd.service(5)")


def write_man_page() -> str:
    """The page in the language of man(7), a newline behind its last line."""
    return "\n".join([*_write_head(), *_write_options(), *_write_tail()]) + "\n"


def _write_head() -> Iterator[str]:
    version = importlib.metadata.version("tailmerge")
    yield '.\\" Made from the options of --help (tailmerge/pages.py); not to be edited.'
    yield f'.TH TAILMERGE 1 "" "tailmerge {version}" "User Commands"'
    yield from (".SH NAME", f"tailmerge \\- {_escape(SUMMARY)}")
    inputs = f"\\fI{str(INPUT.metavar).removesuffix('...')}\\fR..."
    yield from (".SH SYNOPSIS", f"\\fBtailmerge\\fR [\\fIOPTIONS\\fR] {inputs}")
    yield ".SH DESCRIPTION"
    yield ".PP\n".join(_escape(part) + "\n" for part in DESCRIPTION.strip().split("\n\n")).strip()


def _write_options() -> Iterator[str]:
    yield ".SH OPTIONS"
    for group, options in find_groups(PARAMETERS):
        yield f'.SS "{_escape(group)}"'
        for option in options:
            yield from (".TP", _mark(option))
            standard = f" Default: {option.standard}." if option.standard else ""
            yield _escape((option.help or "") + standard)


def _mark(option: Option) -> str:
    """The option's words in bold, its value's in italics."""
    words = ", ".join(f"\\fB{_escape(word)}\\fR" for word in sorted(option.opts, key=len))
    return words if option.is_flag else f"{words} \\fI{option.metavar}\\fR"


def _write_tail() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    yield from _list(
        (str(code), meaning[0].upper() + meaning[1:] + ".") for code, meaning in EXIT_CODES
    )
    for title, rows in (("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES), ("SIGNALS", SIGNALS)):
        yield f".SH {title}"
        yield from _list(rows)
    yield ".SH EXAMPLES"
    for command, meaning in EXAMPLES:
        yield from (".PP", _escape(_begin(meaning) + ":"))
        yield from (".PP", ".nf", ".RS", _escape(command), ".RE", ".fi")
    yield from (".SH SEE ALSO", ", ".join(f"\\fB{n[:-3]}\\fR{n[-3:]}" for n in SEE_ALSO))


def _begin(text: str) -> str:
    """As a sentence begins."""
    return text[:1].upper() + text[1:]


def _list(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, meaning in rows:
        yield from (".TP", f"\\fB{_escape(name)}\\fR", _escape(meaning))


def _escape(text: str) -> str:
    """Plain words as the language takes them: what it would read as its own is escaped."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return re.sub(r"^\.", r"\\&.", text, flags=re.MULTILINE)
