"""docs/benchmarks.md, written from the results of a run."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from harness import say
from peers import NEVER, find

HEAD = """\
# Benchmarks

This page is written by one command, which measures everything on it:

```sh
.venv/bin/pip install -e '.[bench]'
.venv/bin/python tests/bench/run.py            # all, about 25 minutes
.venv/bin/python tests/bench/run.py --quick    # less of everything, about 5
.venv/bin/python tests/bench/run.py --only latency --only idle
```

How to read it. Programs that stand in one table were run in turn (A B C, B A C, ...), and what
is shown is the median: absolute figures depend on the machine and on what else it did, ratios
within a table much less. All files are on a real disk, in a warm page cache. What was merged is
compared with the inputs line by line; a run whose output is wrong does not count. tailmerge
keeps its journal unless a row says otherwise. Each program runs with its own minimal
configuration; where one has a poll interval it is 0.1 s, tailmerge's default. rsyslog and
syslog-ng do more with a line than the others do: they parse it, and it may go anywhere.
"""

TITLES = {
    "backlog": "Backlog",
    "latency": "Latency",
    "sustained": "A steady load",
    "idle": "Many inputs at rest",
    "fairness": "Fairness",
    "exactness": "Exactness",
    "startup": "Start-up",
    "lag": "Loop lag",
    "peaks": "Memory",
    "journal_cost": "The journal",
    "scaling": "Growth",
}

WORDS = {
    "backlog": "How fast what is there already is merged.",
    "latency": "How long a lone line takes, with 50 to 150 ms between two of them.",
    "sustained": "What a steady load costs, and how late its lines come. A file is written to about"
    " each millisecond, some 25 lines at a time.",
    "idle": "What inputs cost in which nothing happens.",
    "fairness": "One input is written to faster than it can be merged, another gets a line each"
    " 100 ms.",
    "exactness": "Writers write; the files are rotated, or the program is killed and started"
    " again. `tail -F` is started again for what comes from then on (`-n 0`): from the"
    " beginning it would double everything.",
    "startup": "What a run from cron costs when there is nothing to do.",
    "lag": "How late the main event loop of a program that embeds tailmerge is.",
    "peaks": "Flat, whatever the backlog and the length of a line.",
    "journal_cost": "What write-ahead costs; its share of a backlog is in the first table.",
    "scaling": "The whole command, beside cat; the inputs at rest are above.",
}

PICTURES = {
    "backlog": "benchmarks-backlog.svg",
    "latency": "benchmarks-latency.svg",
    "sustained": "benchmarks-sustained.svg",
    "idle": "benchmarks-idle.svg",
    "scaling": "benchmarks-scaling.svg",
}

Results = dict[str, Any]
"""What run.py keeps: by part its outcome, or why there is none."""


def describe_machine(folder: Path) -> list[str]:
    """What was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    cores = len(os.sched_getaffinity(0))
    versions = {
        "tail": _first_line("tail", "--version"),
        "rsyslog": _first_line("rsyslogd", "-v").partition(" (")[0],
        "syslog-ng": _first_line("syslog-ng", "-V"),
        "lnav": _first_line("lnav", "-V"),
    } | {name: _version(name) for name in ("asyncinotify", "pygtail", "click")}
    known = "; ".join(f"{name}: {words}" for name, words in versions.items() if words)
    return [
        f"{cores} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.release()},"
        f" {_file_system(folder)}",
        f"Python {platform.python_version()}, tailmerge {_version('tailmerge')}",
        known,
    ]


def _first_line(program: str, word: str) -> str:
    path = find(program)
    if not path:
        return ""
    done = subprocess.run([path, word], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _file_system(folder: Path) -> str:
    done = subprocess.run(
        ["df", "--output=fstype", folder], capture_output=True, text=True, check=False
    )
    return "".join(done.stdout.split()[1:]) or "an unknown file system"


def write(results: Results, docs: Path) -> None:
    """Write the page, and the pictures where matplotlib is installed."""
    pictures = _draw(results, docs)
    parts = results["parts"]
    page = [HEAD, "## Measured on\n"]
    page += [f"- {line}" for line in results["machine"]]
    if results["quick"]:
        page.append("- with `--quick`: less of everything, so single figures are rough")
    page += ["", _aims(parts)]
    for name, title in TITLES.items():
        if name in parts:
            page.append(f"## {title}\n\n{WORDS[name]}\n")
            if PICTURES.get(name) in pictures:
                page.append(f"![{title}]({PICTURES[name]})\n")
            page.append(_part(parts[name]))
    page.append(_behind(parts))
    page.append(_skipped(parts))
    text = "\n".join(page).rstrip() + "\n"
    (docs / "benchmarks.md").write_text(text, encoding="utf-8")


def _draw(results: Results, docs: Path) -> list[str]:
    if not importlib.util.find_spec("matplotlib"):
        say("no pictures: matplotlib is not installed")
        return [path.name for path in docs.glob("benchmarks-*.svg")]
    import plots

    figures: dict[str, Any] = {}
    for part in results["parts"].values():
        figures |= part.get("figures", {})
    return plots.draw(figures, docs)


def _rows(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _part(part: dict[str, Any]) -> str:
    if "failed" in part:
        return f"Not measured: {part['failed']}\n"
    tables = []
    for table in part["tables"]:
        tables.append(f"**{table['title']}**\n\n{_rows(table['columns'], table['rows'])}")
        if table["note"]:
            tables.append(table["note"] + "\n")
    return "\n".join(tables)


def _is_met(aim: dict[str, Any]) -> bool:
    if aim["at_least"]:
        return bool(aim["value"] >= aim["limit"])
    return bool(aim["value"] <= aim["limit"])


def _aims(parts: Results) -> str:
    rows = []
    for part in parts.values():
        for aim in part.get("aims", []):
            bound = f"{'at least' if aim['at_least'] else 'at most'} {aim['limit']:g} {aim['unit']}"
            value = f"{aim['value']:.4g} {aim['unit']}"
            rows.append([aim["what"], value, bound, "yes" if _is_met(aim) else "**no**"])
    return "## What tailmerge is to reach\n\n" + _rows(["", "measured", "bound", "kept"], rows)


BETTER = {
    "backlog": ("MiB/s of a backlog", "tailmerge --once, the whole command", True),
    "sustained_cpu": ("cores at a steady load", "tailmerge[inotify]", False),
    "sustained_p99": ("p99 at a steady load", "tailmerge[inotify]", False),
}
"""Which figures are compared: what they are, ours among them, whether more is better."""


def _behind(parts: Results) -> str:
    """Where somebody else is better, and where a bound is not kept."""
    figures: dict[str, Any] = {}
    for part in parts.values():
        figures |= part.get("figures", {})
    found = {what: dict(figures[what]) for what in BETTER if what in figures}
    compared = dict(BETTER)
    if latency := figures.get("latency"):
        found["latency"] = {name: sorted(all_)[len(all_) // 2] for name, all_ in latency.items()}
        compared["latency"] = ("p50 of a lone line", "tailmerge[inotify]", False)
    for inputs, rests in figures.get("idle", {}).items():
        for at, what in enumerate(("% of a core at rest", "memory", "time until it follows")):
            key = f"idle {inputs} {at}"
            found[key] = {name: rest[at] for name, rest in rests.items()}
            compared[key] = (f"{what} with {int(inputs):,} inputs", "tailmerge[inotify]", False)
    lines = []
    for key, values in found.items():
        what, ours, more = compared[key]
        if ours not in values:
            continue
        sign = 1 if more else -1
        better = [
            name
            for name, value in values.items()
            if not name.startswith("tailmerge") and sign * value > sign * values[ours]
        ]
        if better:
            lines.append(f"- {what}: better are {', '.join(better)}.")
    if not all(_is_met(aim) for part in parts.values() for aim in part.get("aims", [])):
        lines.append("- Wherever the table of bounds above says no.")
    if not lines:
        lines = ["- Nowhere in what is measured here."]
    return "## Where tailmerge is not the best\n\n" + "\n".join(lines) + "\n"


def _skipped(parts: Results) -> str:
    lines = dict.fromkeys(words for part in parts.values() for words in part.get("skipped", []))
    lines |= dict.fromkeys(f"{name}: {why}" for name, why in NEVER.items())
    return "## Not measured\n\n" + "\n".join(f"- {words}" for words in lines) + "\n"
