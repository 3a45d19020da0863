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
from tailmerge.options import DESCRIPTION, PARAMETERS, Command
from tailmerge.painter import Painter, find_painter
from tailmerge.report import ReaderGone, Report, TailmergeError, cannot_print
from tailmerge.sight import Sight
from tailmerge.system import System
from tailmerge.voice import Voice

STOPS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

ASKS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGINFO") if hasattr(signal, name))
"""Signals that ask for the status; Ctrl-T sends SIGINFO where there is one."""


@click.command(
    cls=Command,
    help=DESCRIPTION,
    params=PARAMETERS,
    context_settings={"auto_envvar_prefix": "TAILMERGE", "max_content_width": 100},
)
def command(
    inputs: tuple[str, ...], status: bool, quiet: bool, verbose: bool, debug: bool, **options: Any
) -> Callable[[], int]:
    output, state = options["output"], options.pop("state")
    _check_contradictions(options, state, status, quiet, verbose)
    if status:
        expected = None if output == "-" else output
        return lambda: _show_status(state or default_state(output), expected, options["format"])
    if not inputs:
        raise click.UsageError(
            "no inputs: name at least one file, pattern, or - for standard input"
        )
    if "" in inputs:
        raise click.UsageError("an empty input: name a file, pattern, or - for standard input")
    if not options.pop("no_state"):
        options["state_path"] = state or _choose_state(output)

    def run() -> int:
        _allow_many_files()
        painter = None if quiet else find_painter(output, os.environ.get("TERM", ""))
        # Not closed: that would wait for the executor's threads, and the process ends now.
        runner = asyncio.Runner(debug=debug)
        return runner.run(_run(inputs, quiet, verbose, painter, **options))

    return run


def _check_contradictions(
    options: dict[str, Any], state: str | None, status: bool, quiet: bool, verbose: bool
) -> None:
    if quiet and verbose:
        raise click.UsageError("-q and -v contradict each other: give one of them")
    if state is not None and options["no_state"]:
        raise click.UsageError("--state and --no-state contradict each other: give one of them")
    if state == "":
        raise click.UsageError("an empty --state: name a file for the positions")
    if status and options["overwrite"]:
        raise click.UsageError("--status only looks and --overwrite does not: give one of them")
    if status and options["no_state"]:
        raise click.UsageError("--status shows a state and --no-state keeps none: give one of them")
    if options["output"] != "-":
        return
    if status and state is None:
        raise click.UsageError("--status needs an output file or a state: name it with -o")
    if options["fsync"] and not status:
        raise click.UsageError("--fsync needs an output file: name it with -o")
    if options["overwrite"] and state is None:
        raise click.UsageError("--overwrite needs an output file or a state: name it with -o")


def _choose_state(output: str) -> str | None:
    """A regular file, be it not there yet, has a state beside it; a pipe or a device none.

    /dev/stdout is a device's name, though it may lead to a file.
    """
    if output == "-" or (os.path.exists(output) and not os.path.isfile(output)):
        return None
    folder = os.path.dirname(os.path.abspath(output))
    if folder in ("/dev", "/dev/fd") or folder.startswith("/proc/"):
        return None
    return default_state(output)


def _show_status(
    state: str, output: str | None, output_format: str, system: System | None = None
) -> int:
    from tailmerge.status import describe, describe_for_programs, read_status

    try:
        show = describe_for_programs if output_format == "json" else describe
        text = show(read_status(state, output, system or System()))
    except TailmergeError as error:
        _say(str(error))
        return error.exit_code
    return int(_guard(lambda: click.echo(text, nl=False)))


async def _run(
    inputs: tuple[str, ...],
    quiet: bool,
    verbose: bool,
    painter: Painter | None,
    output: str,
    once: bool,
    **options: Any,
) -> int:
    voice = Voice(_say, painter)
    await voice.open()
    report = Report(voice.say, once=once, quiet=quiet, verbose=verbose)
    sight = Sight(
        show_line=voice.show_line if painter else None,
        show_table=lambda text: voice.write(_print, text),
        lines=verbose,
        once=once,
    )
    stop = asyncio.Event()
    received = _listen(stop, sight.ask)
    code = 0
    try:
        await run_fully_async(
            inputs, output_path=output, once=once, report=report, sight=sight, stop=stop, **options
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


def _listen(stop: asyncio.Event, ask: Callable[[], None]) -> list[signal.Signals]:
    """Let signals set `stop`; a second one ends the process at once. Others `ask`.

    Returns the list to which the received ones are added. One that was ignored at the
    start (nohup) stays ignored.
    """
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def receive(which: int, _: object) -> None:
        received.append(signal.Signals(which))
        for each in STOPS:
            if signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, signal.SIG_DFL)
        loop.call_soon_threadsafe(stop.set)

    # Not the loop's own handlers: they need room in the pipe that wakes the loop, and when
    # thousands of inputs have filled it the signal would be lost.
    for each in STOPS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, receive)
    for each in ASKS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, lambda *_: loop.call_soon_threadsafe(ask))
    return received


def _say(text: str) -> None:
    _print(f"tailmerge: {text}\n")


def _print(text: str) -> None:
    try:
        os.write(2, text.encode(errors="backslashreplace"))
    except OSError:
        pass  # nobody listens; what is owed shows in the exit code


def _allow_many_files() -> None:
    """Inputs are held open: as many as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass  # some systems count "unlimited" otherwise; then the soft limit holds


def _open_closed_streams() -> None:
    """Take the numbers of closed standard streams, so that no file of ours gets one.

    /dev/null is opened the wrong way round: using such a stream fails as a closed one does.
    """
    for fd, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, flags)  # the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115


def main() -> NoReturn:
    """The entry point: exits, or ends as killed by a signal."""
    for each in ASKS:
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, lambda *_: None)  # who asks too early must not kill
    _open_closed_streams()
    run = _guard(lambda: command.main(prog_name="tailmerge", standalone_mode=False))
    try:
        code = run() if callable(run) else int(run)
    except KeyboardInterrupt:  # before we listen
        code = -signal.SIGINT
    _exit(code)


def _guard(act: Callable[[], Any]) -> Any:
    """Read the words, or print; what goes wrong there becomes one line and an exit code.

    Returns what `act` returns, 0 for nothing.
    """
    try:
        return act() or 0
    except click.UsageError as error:
        _say(f"{error.format_message()}  (try: tailmerge --help)")
        return 2
    except click.ClickException as error:
        _say(error.format_message())
        return 2
    except (click.Abort, KeyboardInterrupt):
        return -signal.SIGINT
    except BrokenPipeError:
        return -signal.SIGPIPE
    except SystemExit as end:  # click's: its completion is done, or --help | head -1
        return -signal.SIGPIPE if end.code else 0
    except OSError as error:
        _say(str(cannot_print(error)))
        return 3


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
