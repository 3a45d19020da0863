"""What can be typed: every option, its group, its default; what --help shows of them.

The one list from which --help, the man page (pages.py) and the shell's completion come.
Options stand in the order and the groups in which they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from click.types import StringParamType

from tailmerge.words import Pattern, check_format, check_seconds, check_template

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SUMMARY = "merge growing log files: every line once, whole and in order"

DESCRIPTION = """Merge growing log files into one: every line once, whole and in order.

INPUT is a file, a quoted glob pattern, a named pipe, or - for standard input. Files
may be missing at the start and are followed through rotation.
"""

EXAMPLES = (
    ("tailmerge a.log b.log -o merged.log", "follow, until stopped"),
    ("tailmerge --once '/var/log/app/*.log' -o m.log", "merge what is new, then exit"),
    ("tailmerge --sort a.log b.log | less", "by the times in the lines"),
    ("tailmerge -n 0 a.log b.log | grep ERROR", "what comes from now on"),
    ("tailmerge --status -o merged.log", "how far each input is merged"),
)

EXIT_CODES = (
    (0, "done, or stopped when asked"),
    (1, "some input could not be read; the rest was merged"),
    (2, "usage: the message says what to type instead"),
    (3, "the output or the state could not be opened or written"),
    (4, "another tailmerge has this output"),
)


class Option(click.Option):
    """An option with its group, and its default in words where the value does not say it."""

    def __init__(
        self, *words: str, group: str, standard: str | None = None, **settings: Any
    ) -> None:
        super().__init__(words, **settings)
        self.group = group
        self.standard = standard
        if standard is None and not self.is_flag and isinstance(self.default, str | float | int):
            self.standard = f"{self.default:g}" if isinstance(self.default, float) else None
            self.standard = self.standard or str(self.default)

    @property
    def spelling(self) -> str:
        """As it begins its line of the help: `-o, --output PATH`."""
        names = ", ".join(sorted(self.opts, key=len))
        return names if self.is_flag else f"{names} {self.metavar}"

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        words = self.help or ""
        return self.spelling, f"{words}  [default: {self.standard}]" if self.standard else words


class FileName(StringParamType):
    """A name that the shell completes as a file's."""

    name = "file"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class Command(click.Command):
    """A command whose options are shown in their groups."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse -once, which would be -o nce, and a cron job that never ends."""
        names = {name for option in self.get_params(ctx) for name in option.opts}
        for word in args[: args.index("--") if "--" in args else None]:
            if (
                word.startswith("-")
                and not word.startswith("--")
                and f"-{word}".partition("=")[0] in names
            ):
                raise click.UsageError(f"{word}: did you mean -{word}?", ctx)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups = find_groups(self.get_params(ctx))
        width = max(len(option.spelling) for _, options in groups for option in options)
        for group, options in groups:
            with formatter.section(group):
                records = [option.get_help_record(ctx) for option in options]
                formatter.write_dl([(f"{r[0]:<{width}}", r[1]) for r in records if r])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            width = max(len(line) for line, _ in EXAMPLES)
            for line, meaning in EXAMPLES:
                formatter.write(f"  {line:<{width}}  {meaning}\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES])
        formatter.write_paragraph()
        formatter.write_text("Each option can be set in the environment: TAILMERGE_INTERVAL=1.")


def find_groups(parameters: Iterable[click.Parameter]) -> list[tuple[str, list[Option]]]:
    """The options by their groups, in the order in which they stand."""
    groups: dict[str, list[Option]] = {}
    for parameter in parameters:
        if isinstance(parameter, Option):
            groups.setdefault(parameter.group, []).append(parameter)
    return list(groups.items())


def _show_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        import importlib.metadata

        click.echo(f"{context.info_name} {importlib.metadata.version('tailmerge')}")
        context.exit()


def _show_help(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(context.get_help())
        context.exit()


SECONDS: dict[str, Any] = {"metavar": "SECONDS", "type": float, "callback": check_seconds}
PATH: dict[str, Any] = {"metavar": "PATH", "type": FileName()}
AND_EXIT: dict[str, Any] = {"is_flag": True, "is_eager": True, "expose_value": False}

OUTPUT = (
    Option(
        *("-o", "--output"),
        group="Output",
        default="-",
        help="The file to append to; - is standard output.",
        **PATH,
    ),
    Option(
        "--overwrite",
        group="Output",
        is_flag=True,
        standard="append, resume",
        help="Start over: empty the output and forget its positions.",
    ),
    Option(
        "--fsync",
        group="Output",
        is_flag=True,
        standard="survive kill -9",
        help="Survive a power cut, too.",
    ),
)

INPUTS = (
    Option(
        *("-n", "--lines"),
        group="Inputs",
        metavar="N",
        type=click.IntRange(min=0),
        standard="all",
        help="At the very first run (without a state, at each) begin with the last N whole lines"
        " of the files that are there; 0 is only what comes from now on.",
    ),
    Option(
        *("-i", "--interval"),
        group="Inputs",
        default=0.1,
        help="How often inputs are looked at where the kernel does not tell.",
        **SECONDS,
    ),
    Option(
        "--rotate-wait",
        group="Inputs",
        default=5.0,
        help="How long a renamed or deleted input must be quiet before it is no longer held open.",
        **SECONDS,
    ),
)

ORDER = (
    Option(
        *("-s", "--sort"),
        group="Order",
        is_flag=True,
        standard="arrival order",
        help="Order lines by the timestamps in them.",
    ),
    Option(
        "--window",
        group="Order",
        default=1.0,
        help="How long a line may wait for earlier ones (--sort), or a record for its next line,"
        " while following.",
        **SECONDS,
    ),
    Option(
        "--time-format",
        group="Order",
        metavar="FORMAT",
        callback=check_format,
        standard="recognised",
        help="The timestamps' strptime format, where they are not recognised.",
    ),
    Option(
        "--utc",
        group="Order",
        is_flag=True,
        standard="local time",
        help="Timestamps without a zone are UTC.",
    ),
)

LINES = (
    Option(
        "--record-start",
        group="Lines",
        metavar="REGEX",
        type=Pattern(),
        standard="each line",
        help="A line that does not match continues the record above it (stack traces); records"
        " stay whole.",
    ),
    Option(
        *("-l", "--label"),
        group="Lines",
        metavar="TEMPLATE",
        callback=check_template,
        standard="none",
        help="Put before each line: {path}, {name}, {stem}, {host}.",
    ),
    Option(
        *("-m", "--match"),
        group="Lines",
        metavar="REGEX",
        type=Pattern(),
        multiple=True,
        standard="keep all",
        help="Keep only lines, or records, with this in them; may be given several times.",
    ),
    Option(
        *("-x", "--exclude"),
        group="Lines",
        metavar="REGEX",
        type=Pattern(),
        multiple=True,
        standard="drop none",
        help="Drop lines, or records, with this in them; may be given several times.",
    ),
    Option(
        "--format",
        group="Lines",
        metavar="text|json",
        type=click.Choice(["text", "json"]),
        default="text",
        help="json: one object a line: source, offset, time where known, line; with --status one"
        " document.",
    ),
)

ENDING = (
    Option(
        "--once",
        group="Ending",
        is_flag=True,
        standard="follow",
        help="Merge what is there now, then exit.",
    ),
    Option(
        "--pid",
        group="Ending",
        metavar="PID",
        type=click.IntRange(min=1),
        help="Also stop once this process is gone and its last lines are merged.",
    ),
    Option(
        "--until-idle",
        group="Ending",
        help="Also stop once nothing new came for so long.",
        **SECONDS,
    ),
)

STATE = (
    Option(
        "--state",
        group="State",
        standard="OUTPUT.tailmerge for a regular file",
        help="Where positions are kept.",
        **PATH,
    ),
    Option(
        "--no-state",
        group="State",
        is_flag=True,
        help="Keep no positions: each run begins anew.",
    ),
    Option(
        "--status",
        group="State",
        is_flag=True,
        help="With -o or --state: print where each input stands, and exit.",
    ),
)

MESSAGES = (
    Option(
        *("-q", "--quiet"),
        group="Messages",
        is_flag=True,
        help="Say only what makes the exit code 1 to 4.",
    ),
    Option(
        *("-v", "--verbose"),
        group="Messages",
        is_flag=True,
        help="Say more on standard error.",
    ),
    Option(
        "--debug",
        group="Messages",
        is_flag=True,
        help="Run the event loop in debug mode: names any coroutine that blocked it, by file and"
        " line.",
    ),
    Option(
        "--version",
        group="Messages",
        callback=_show_version,
        help="Show the version and exit.",
        **AND_EXIT,
    ),
    Option(
        "--help",
        group="Messages",
        callback=_show_help,
        help="Show this message and exit.",
        **AND_EXIT,
    ),
)

INPUT = click.Argument(["inputs"], metavar="INPUT...", nargs=-1, type=FileName())

PARAMETERS: list[click.Parameter] = [
    INPUT,
    *(
        option
        for group in (OUTPUT, INPUTS, ORDER, LINES, ENDING, STATE, MESSAGES)
        for option in group
    ),
]
