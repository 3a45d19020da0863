"""The command: words and environment in, exit code out; signals.

Everything that only a program may do is here: reading the environment, standard error,
signal handlers, limits of the process, and ending as killed by a signal.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from tailmerge.journal import default_state
from tailmerge.merge import run_fully_async
from tailmerge.report import ReaderGone, Report, TailmergeError
from tailmerge.voice import Voice

STOPS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

EPILOG = """\b
Examples:
  tailmerge a.log b.log -o merged.log            follow, until stopped
  tailmerge --once '/var/log/app/*.log' -o m.log merge what is there, then exit
  tailmerge -n 0 a.log b.log | grep ERROR        what comes from now on

\b
Each option can be set in the environment: TAILMERGE_INTERVAL=1.
Exit codes: 0 done or stopped when asked, 1 some input could not be read,
2 usage, 3 the output could not be written.
"""


def _seconds(_: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 <= value < float("inf"):
        raise click.BadParameter(f"{value:g} is no time to wait; give seconds, 0 or more")
    return value


@click.command(
    epilog=EPILOG,
    context_settings={
        "auto_envvar_prefix": "TAILMERGE",
        "help_option_names": ["--help"],
        "max_content_width": 100,
        "show_default": True,
    },
)
@click.argument("inputs", metavar="INPUT...", nargs=-1)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    default="-",
    help="The file to append to; - is standard output.",
)
@click.option(
    "-i",
    "--interval",
    metavar="SECONDS",
    type=float,
    default=0.1,
    callback=_seconds,
    help="How often inputs are looked at where the kernel does not tell.",
)
@click.option("--once", is_flag=True, help="Merge what is there now, then exit.")
@click.option(
    "-n",
    "--lines",
    metavar="N",
    type=click.IntRange(min=0),
    help="Begin with the last N whole lines of the files that are there; 0 is only what comes"
    " from now on.  [default: all]",
)
@click.option(
    "--pid",
    metavar="PID",
    type=click.IntRange(min=1),
    help="Also stop once this process is gone and its last lines are merged.",
)
@click.option(
    "--until-idle",
    metavar="SECONDS",
    type=float,
    callback=_seconds,
    help="Also stop once nothing new came for so long.",
)
@click.option(
    "--overwrite", is_flag=True, help="Start over: empty the output first.  [default: append]"
)
@click.option(
    "--rotate-wait",
    metavar="SECONDS",
    type=float,
    default=5.0,
    callback=_seconds,
    help="How long a renamed or deleted input must be quiet before it is no longer held open.",
)
@click.option(
    "--state",
    metavar="PATH",
    help="Where positions are kept.  [default: OUTPUT.tailmerge for a regular file]",
)
@click.option("--no-state", is_flag=True, help="Keep no positions: each run begins anew.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what makes the exit code 1 to 3.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
@click.option(
    "--debug",
    is_flag=True,
    help="Run the event loop in debug mode: names any coroutine that blocked it, by file and line.",
)
@click.version_option(package_name="tailmerge", message="%(prog)s %(version)s")
def command(
    inputs: tuple[str, ...], quiet: bool, verbose: bool, debug: bool, **options: Any
) -> int:
    """Merge growing log files into one: every line once, whole and in order.

    INPUT is a file, a quoted glob pattern, a named pipe, or - for standard input. Files
    may be missing at the start and are followed through rotation.
    """
    if not inputs:
        raise click.UsageError(
            "no inputs: name at least one file, pattern, or - for standard input"
        )
    if "" in inputs:
        raise click.UsageError("an empty input: name a file, pattern, or - for standard input")
    if options["overwrite"] and options["output"] == "-":
        raise click.UsageError("--overwrite needs an output file: name it with -o")
    if quiet and verbose:
        raise click.UsageError("-q and -v contradict each other: give one of them")
    options["state_path"] = _choose_state(options)
    _allow_many_files()
    return asyncio.run(_run(inputs, quiet, verbose, **options), debug=debug)


def _choose_state(options: dict[str, Any]) -> str | None:
    state, none, output = options.pop("state"), options.pop("no_state"), options["output"]
    if state is not None and none:
        raise click.UsageError("--state and --no-state contradict each other: give one of them")
    if state is not None or none:
        return None if none else str(state)
    if output == "-" or (os.path.exists(output) and not os.path.isfile(output)):
        return None
    return default_state(output)


async def _run(
    inputs: tuple[str, ...], quiet: bool, verbose: bool, output: str, once: bool, **options: Any
) -> int:
    voice = Voice(_say)
    await voice.open()
    report = Report(voice.say, once=once, quiet=quiet, verbose=verbose)
    stop = asyncio.Event()
    received = _listen(stop)
    code = 0
    try:
        await run_fully_async(
            inputs, output_path=output, once=once, report=report, stop=stop, **options
        )
        if report.owes and not received:
            code = 1
    except ReaderGone:
        code = -signal.SIGPIPE
    except TailmergeError as error:
        voice.say(str(error))
        code = error.exit_code
    finally:
        await voice.close()
    if code >= 0 and signal.SIGINT in received:
        code = -signal.SIGINT
    return code


def _listen(stop: asyncio.Event) -> list[signal.Signals]:
    """Let signals set `stop`; a second one ends the process at once.

    Returns the list to which the received ones are added. One that was ignored at the
    start (nohup) stays ignored.
    """
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def receive(which: signal.Signals) -> None:
        received.append(which)
        stop.set()
        for each in STOPS:
            if signal.getsignal(each) is not signal.SIG_IGN:
                loop.remove_signal_handler(each)
                signal.signal(each, signal.SIG_DFL)

    for each in STOPS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            loop.add_signal_handler(each, receive, each)
    return received


def _say(text: str) -> None:
    data = f"tailmerge: {text}\n".encode(errors="backslashreplace")
    try:
        os.write(2, data)
    except OSError:
        pass  # nobody listens; what is owed shows in the exit code


def _allow_many_files() -> None:
    """Every input is held open: as many as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass  # some systems count "unlimited" otherwise; then the soft limit holds


def main() -> NoReturn:
    """The entry point: exits, or ends as killed by a signal."""
    _exit(_guard(lambda: command.main(prog_name="tailmerge", standalone_mode=False)))


def _guard(run: Callable[[], Any]) -> int:
    """Run the command; its errors become one line and an exit code."""
    try:
        code = run()
    except click.UsageError as error:
        _say(f"{error.format_message()}  (try: tailmerge --help)")
        return 2
    except click.ClickException as error:
        _say(error.format_message())
        return 2
    except (click.Abort, KeyboardInterrupt):
        return -signal.SIGINT
    except BrokenPipeError:
        return -signal.SIGPIPE  # --help | head -1
    return code if isinstance(code, int) else 0


def _exit(code: int) -> NoReturn:
    """End with this code, or as killed by the signal that a negative one names."""
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        code = 3  # the signal is blocked
    try:
        sys.stdout.flush()
    except OSError:
        code = code or 3
    os._exit(code)  # a thread that is stuck in a system call must not keep us
