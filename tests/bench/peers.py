"""The other programs: where they are, and how each is told to follow files into one.

Each runs in the foreground, with a configuration and a state of its own in a temporary
folder, as the user who started the benchmark. Where one has a poll interval it is 0.1 s,
tailmerge's default.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import HERE, TAILMERGE, Command, Unmeasured

INTERVAL = "0.1"

PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))

Follow = Callable[[Path, list[Path], Path], Command]
"""(a folder of its own, the inputs, the output) -> the command that follows."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One program that merges growing files."""

    name: str
    follow: Follow
    missing: str = ""
    """Why it cannot be run here."""
    again: Follow | None = None
    """How it is started after a kill, where that differs."""
    by_shell: bool = False
    """Its standard output is the merged file."""
    hidden: tuple[str, ...] = ()
    """Python modules that it is not to find."""


def find(program: str) -> str | None:
    return shutil.which(program, path=PATH)


def _program(name: str) -> str:
    return find(name) or name


@functools.cache
def options() -> str:
    """What `tailmerge --help` names."""
    done = subprocess.run([*TAILMERGE, "--help"], capture_output=True, text=True, check=False)
    return done.stdout


def tailmerge(folder: Path, inputs: list[Path], output: Path) -> Command:
    return [*TAILMERGE, *inputs, "-o", output]


def tail(folder: Path, inputs: list[Path], output: Path) -> Command:
    return [_program("tail"), "-q", "-n", "+1", "-F", *inputs]


def tail_again(folder: Path, inputs: list[Path], output: Path) -> Command:
    """It does not know where it was: what comes from now on, or all of it twice."""
    return [_program("tail"), "-q", "-n", "0", "-F", *inputs]


def rsyslog(folder: Path, inputs: list[Path], output: Path) -> Command:
    conf = folder / "rsyslog.conf"
    head = [
        f'global(workDirectory="{folder}" maxMessageSize="64k"'
        ' parser.escapeControlCharactersOnReceive="off")',
        'module(load="imfile")',
        'template(name="raw" type="string" string="%msg%\\n")',
    ]
    files = [f'input(type="imfile" File="{path}" Tag="x" reopenOnTruncate="on")' for path in inputs]
    conf.write_text("\n".join([*head, *files, _rsyslog_action(output), ""]))
    return [_program("rsyslogd"), "-n", "-f", conf, "-i", folder / "rsyslog.pid"]


def _rsyslog_action(output: Path) -> str:
    return f'action(type="omfile" file="{output}" template="raw")'


def syslog_ng(folder: Path, inputs: list[Path], output: Path) -> Command:
    conf = folder / "syslog-ng.conf"
    sources = "\n".join(
        f'  file("{path}" follow-freq({INTERVAL}) flags(no-parse));' for path in inputs
    )
    conf.write_text(
        "@version: current\n"
        "options { log-msg-size(65536); stats-freq(0); time-reopen(1); };\n"
        f"source s {{\n{sources}\n}};\n"
        f'destination d {{ file("{output}" template("$MSG\\n")); }};\n'
        "log { source(s); destination(d); flags(flow-control); };\n"
    )
    words = [_program("syslog-ng"), "-F", "--no-caps", "-f", conf, "-R", folder / "persist"]
    return [*words, "-p", folder / "pid", "-c", folder / "control"]


LOGTAIL_LOOP = r"""
out=$1; pause=$2; shift 2
while :; do
    for f; do logtail2 -f "$f" -o "$out.$(basename "$f").offset" >> "$out"; done
    sleep "$pause"
done
"""


def logtail2(folder: Path, inputs: list[Path], output: Path) -> Command:
    return ["/bin/sh", "-c", LOGTAIL_LOOP, "logtail", output, INTERVAL, *inputs]


def pygtail(folder: Path, inputs: list[Path], output: Path) -> Command:
    return [sys.executable, HERE / "pygtail_loop.py", output, INTERVAL, *inputs]


def book(folder: Path, inputs: list[Path], output: Path) -> Command:
    return [sys.executable, HERE / "book.py", output, INTERVAL, *inputs]


def _not_found(program: str) -> str:
    return "" if find(program) else "not installed"


def _no_module(name: str) -> str:
    return "" if importlib.util.find_spec(name) else "not installed"


EXTRA = "asyncinotify"

POLLING = Peer("tailmerge, polling", tailmerge, hidden=(EXTRA,))
WATCHING = Peer("tailmerge[inotify]", tailmerge, missing=_no_module(EXTRA))
TAIL = Peer("tail -F", tail, _not_found("tail"), again=tail_again, by_shell=True)
RSYSLOG = Peer("rsyslog", rsyslog, _not_found("rsyslogd"))
SYSLOG_NG = Peer("syslog-ng", syslog_ng, _not_found("syslog-ng"))
LOGTAIL = Peer("logtail2 in a loop", logtail2, _not_found("logtail2"))
PYGTAIL = Peer("pygtail in a loop", pygtail, _no_module("pygtail"))
BOOK = Peer("the book's code", book)

OURS = (WATCHING, POLLING)
FOLLOWERS = (*OURS, TAIL, RSYSLOG, SYSLOG_NG, LOGTAIL, PYGTAIL, BOOK)

NEVER = {
    "Fluent Bit": "no package of it was to be had where these measurements were written",
}
"""Programs that the benchmark does not know how to run."""


def environment(hidden: tuple[str, ...] = ()) -> dict[str, str]:
    """Ours without tailmerge's settings; what is hidden cannot be imported."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("TAILMERGE_")}
    own["PATH"] = PATH
    if hidden:
        own["PYTHONPATH"] = os.pathsep.join((str(HERE / "hiding"), own.get("PYTHONPATH", "")))
        own["HIDDEN_MODULES"] = " ".join(hidden)
    return own


@contextmanager
def following(
    peer: Peer, folder: Path, inputs: list[Path], output: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The program, following; it is ended with the block.

    Raises:
        Unmeasured: it cannot be run here.
    """
    process = start(peer, folder, inputs, output)
    try:
        yield process
    finally:
        stop(process)


def start(
    peer: Peer, folder: Path, inputs: list[Path], output: Path, *, again: bool = False
) -> subprocess.Popen[bytes]:
    """Start it, or start it `again` after it was killed."""
    if peer.missing:
        raise Unmeasured(peer.missing)
    follow = peer.again if again and peer.again else peer.follow
    words = [str(word) for word in follow(folder, inputs, output)]
    with open(output if peer.by_shell else os.devnull, "ab") as out:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=(folder / "said").open("ab"),
            env=environment(peer.hidden),
            cwd=folder,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes], how: int = signal.SIGTERM) -> None:
    """End a program and whatever it started: it leads a process group of its own."""
    for number in (how, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
