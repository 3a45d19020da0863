"""What the words on the command line may be: checked, or said what is wrong with them.

What a word is checked with is imported when there is one: most runs are asked for little.
"""

from __future__ import annotations

import click


def check_seconds(_: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 <= value < float("inf"):
        raise click.BadParameter(f"{value:g} is no time to wait; give seconds, 0 or more")
    return value


class Pattern(click.ParamType):  # type: ignore[type-arg]
    """A regular expression; in the environment there is one a line."""

    name = "regex"

    def split_envvar_value(self, rv: str) -> list[str]:
        return [line for line in rv.split("\n") if line]

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from tailmerge.patterns import compile_pattern

        try:
            compile_pattern(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
        return value


def check_template(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        from tailmerge.label import Label

        try:
            Label(value, "")
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return value


def check_format(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        from tailmerge.timestamps import check_time_format

        try:
            check_time_format(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return value
