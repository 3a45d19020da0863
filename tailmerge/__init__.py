"""tailmerge: many growing log files become one, every line once, whole and in order.

    from tailmerge import run_fully_async, tail_async, WriteThread

    await run_fully_async(["a.log", "b.log"], 0.1, "merged.log")

Where things are, from the top; each module imports only from below its own line:

    cli        words and environment in, exit code out; signals
    pages      the man page, from the same list as --help
    options    what can be typed: every option, its group, its default
    words      what the words on the command line may be
    status     where each input stands
    merge      what is asked for, put together
    run        one run: its inputs, their tasks, the reasons to end
    crew       the tails of one run: begun, asleep, run again
    sight      what a run shows of itself: the status line, the table, the sum
    tail       `tail_async`: the task of one input, whoever runs it
    follow     the life of one input: what is forwarded when
    handles    a caller's handle: followed until it is closed
    closing    which files end in an open record
    streaming  the life of a pipe or of standard input
    surroundings what the tails of one run share
    watch      who has news
    sweep      one look at all inputs, cheap
    stillness  whether the folders of the inputs are as they were
    notices    what the kernel tells
    guarded    the calls for inputs on file systems that can hang: waited for only so long
    mounts     which file systems tell, and which can hang; pure
    errand     what is forwarded without waking anybody: mere growth
    own        what is ours and never an input: the output, its state, its copies
    discover   names and patterns to inputs
    writer     the thread that owns the files: reads, cuts, appends
    turn       who has the output: one batch at a time
    ways       which way out a run takes
    ordered    the way out by time: lines wait for their place
    shaped     the way out for lines that do not go out as they are
    counting   a way out that counts what goes through it
    plain      the plain way out: lines as they are
    stretch    a long part of one file, in one batch
    route      what a way out can be asked
    reading    the next whole lines, or records, of a file
    weave      sorted parts become one list in order; pure
    order      which line goes next: by time, within a window
    timekeeper the keys by which lines are ordered
    syncing    groups of syncs: what was written survives a power cut
    shortening a journal that has grown, replaced while lines go on
    ledger     the state of a run: what the journal is told, and when
    resume     what a run takes over from the one before
    finishing  the last batch before a kill, made whole or gone on behind
    there      an output as a run finds it
    powercut   what a run takes over after a power cut
    again      a batch's bytes, once more
    walk       which lines a power cut left in the output; pure
    resend     what a run takes over for a pipe or a terminal
    recovery   what reached the output before a kill; pure
    journal    the state file: locked, read, written ahead
    kept       the bytes of a batch that cannot be had again
    checkpoint a state in the making: synced before it gets the name
    peek       the state as it stands, without a lock
    leftovers  what killed runs left beside their state
    series     the files of one input: where rotation is decided
    meeting    the first look at an input, where there is nothing to decide
    nameholder which file has an input's own name, to the end of a look
    probe      whether anything happened to an input
    settling   what a look found, matched with what is known
    inheritance files that another input knows
    halves     compressed files without an end mark
    beside     the rotated forms beside a file, as a look finds them
    keeping    the files of a series that are kept in mind
    candidates files that may be known ones, compared by content
    examiner   large compressed files, recognised on a thread of their own
    generation one file of a series, and what a look found
    registry   which file belongs to which input
    folders    which rotated forms stand where
    links      where the files stand whose names are symbolic links
    match      which position belongs to which file; pure
    rotation   rotated names; pure
    state      the state's text; pure
    named      an output that is a regular file: reopened, waited for
    piped      an output that is a pipe, a terminal, a device
    output     what the two kinds of output share
    writebehind a write that is under way while what follows is read
    stream     pipes and standard input
    packed     compressed files, decompressed
    source     one open file: what it is, and how it is read
    openfile   one open file, closed for a while where it is idle
    hands      which inputs' files are held open, within the process's limit
    encoding   the encoding that a file's first bytes name; pure
    history    what was read of a file, in samples
    position   up to where a file was forwarded, and how to know it again
    shape      what is written of a line: filter, label, JSON; pure
    label      which input a line comes from, by a template; pure
    records    lines that belong together: where a record begins; pure
    patterns   which lines regular expressions pick; pure
    feed       one input on its way out, and what one forward did
    timestamps the time of a line
    fields     W3C extended logs: columns that name themselves
    recognise  which format a line has
    columns    the fast path: lines that have their time where the others had it
    layout     how one format stands in one file, and is read fast
    timeformat a strptime format as a shape; pure
    moments    what the groups of a match say; pure
    formats    the ways to write a time: the table
    grammar    what a time looks like
    civil      from a date and a time of day to the instant: zones, years, folds
    batch      what goes out in one piece
    lines      whole lines: where one ends
    settings   what one run was asked for
    ending     how a run comes to its end
    turns      how soon other threads have their turn
    lane       a thread with an event loop of its own
    eager      a coroutine that is begun at once, a task only where it waits
    voice      the thread that speaks
    painter    the status line on the terminal: drawn, erased
    statusline what the status line says; pure
    standing   how far one file is merged, and the table of it; pure
    report     every sentence said to a person
    wording    how names, errors and counts stand in a sentence; pure
    system     every system call
    held       what holds a file open, as far as that is asked about; pure
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tailmerge.lines import NoNewData, readline
    from tailmerge.merge import run_fully_async
    from tailmerge.report import OutputError, TailmergeError, UsageProblem
    from tailmerge.tail import tail_async
    from tailmerge.writer import WriteThread

__all__ = [
    "NoNewData",
    "OutputError",
    "TailmergeError",
    "UsageProblem",
    "WriteThread",
    "readline",
    "run_fully_async",
    "tail_async",
]

_HOMES = {
    "NoNewData": "tailmerge.lines",
    "OutputError": "tailmerge.report",
    "TailmergeError": "tailmerge.report",
    "UsageProblem": "tailmerge.report",
    "WriteThread": "tailmerge.writer",
    "readline": "tailmerge.lines",
    "run_fully_async": "tailmerge.merge",
    "tail_async": "tailmerge.tail",
}

if not TYPE_CHECKING:

    def __getattr__(name):
        """A public name's module is imported when the name is first asked for."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
