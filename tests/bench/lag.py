"""The lag of the main event loop while a backlog is merged and while the output stalls."""

from __future__ import annotations

from harness import GIB, MIB, Aim, Bench, Outcome, Table, Unmeasured, say
from loop_lag import (
    FORMATS,
    ONE_FORMAT,
    SORTED,
    into_file,
    into_stalled_pipe,
    make_inputs,
    make_timed_inputs,
    merge_on_the_loop,
    merge_with_tailmerge,
    sort_with_tailmerge,
    wait,
)


def measure(bench: Bench) -> Outcome:
    size = bench.pick(GIB, 256 * MIB, 8 * MIB)
    if not bench.has_room(2 * size):
        raise Unmeasured("there is not enough room on the disk")
    rows, aims = [], []
    cases = (
        ("nothing beside the heartbeat", into_file, wait),
        ("backlog to a file, tailmerge", into_file, merge_with_tailmerge),
        ("backlog to a file, blocking calls", into_file, merge_on_the_loop),
        ("reader stalls for 2 s, tailmerge", into_stalled_pipe, merge_with_tailmerge),
        ("reader stalls for 2 s, blocking calls", into_stalled_pipe, merge_on_the_loop),
    )
    with bench.place() as folder:
        inputs = make_inputs(folder, size)
        timed = min(size, SORTED)
        one = make_timed_inputs(folder, timed, ONE_FORMAT)
        mixed = make_timed_inputs(folder, timed, FORMATS)
        for title, act, merge, files in (
            *((*case, inputs) for case in cases),
            ("--sort of one format, tailmerge", into_file, sort_with_tailmerge, one),
            ("--sort of mixed formats, tailmerge", into_file, sort_with_tailmerge, mixed),
        ):
            say(f"  {title}")
            lag = act(merge, files, folder)
            p50, p99, worst = (value * 1000 for value in lag.shares())
            other = lag.elsewhere * 1000
            rows.append([title, f"{p50:.2f}", f"{p99:.2f}", f"{worst:.2f}", f"{other:.2f}"])
            if merge in (merge_with_tailmerge, sort_with_tailmerge):
                aims.append(Aim(f"loop lag, {title}, p99", p99, 3, "ms"))
                aims.append(Aim(f"loop lag, {title}, max", worst, 15, "ms"))
    columns = ["", "p50 ms", "p99 ms", "max ms", "elsewhere max ms"]
    table = Table("Lag of the main event loop", columns, rows)
    table.note = (
        "Elsewhere: how late a heartbeat in a process of its own was meanwhile, which is the"
        " machine's share."
    )
    return Outcome([table], aims)
