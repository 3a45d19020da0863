"""The pictures of docs/benchmarks.md, drawn by matplotlib from the figures of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import pyplot

pyplot.switch_backend("svg")
pyplot.rcParams |= {
    "svg.hashsalt": "tailmerge",
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.axisbelow": True,
}

OURS, OTHERS = "#c1440e", "#5b7083"

Figures = dict[str, Any]


def draw(figures: Figures, folder: Path) -> list[str]:
    """Draw what there are figures for; return the names of the files."""
    pictures: dict[str, tuple[str, Callable[[Figures], None]]] = {
        "benchmarks-backlog.svg": ("backlog", _backlog),
        "benchmarks-latency.svg": ("latency", _latency),
        "benchmarks-sustained.svg": ("sustained_cpu", _sustained),
        "benchmarks-idle.svg": ("idle", _idle),
        "benchmarks-scaling.svg": ("by_size", _scaling),
    }
    drawn = []
    for name, (needed, picture) in pictures.items():
        if figures.get(needed):
            picture(figures)
            pyplot.tight_layout()
            pyplot.savefig(folder / name, metadata={"Date": None}, bbox_inches="tight")
            pyplot.close()
            drawn.append(name)
    return drawn


def _color(name: str) -> str:
    return OURS if name.startswith("tailmerge") else OTHERS


def _bars(axes: Any, values: dict[str, float], label: str) -> None:
    names = [name.replace("\\|", "|") for name in values]
    axes.barh(names, list(values.values()), color=[_color(name) for name in names])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(label)
    for at, value in enumerate(values.values()):
        axes.text(
            value, at, f" {value:.0f}" if value >= 100 else f" {value:.2g}", va="center", fontsize=8
        )
    axes.margins(x=0.15)


def _backlog(figures: Figures) -> None:
    found = dict(sorted(figures["backlog"].items(), key=lambda item: -item[1]))
    _, axes = pyplot.subplots(figsize=(7.5, 0.32 * len(found) + 0.8))
    _bars(axes, found, "backlog, MiB/s (more is better)")


def _latency(figures: Figures) -> None:
    _, axes = pyplot.subplots(figsize=(7.5, 3.6))
    for name, delays in figures["latency"].items():
        ordered = sorted(delay * 1000 for delay in delays)
        shares = [(at + 1) / len(ordered) for at in range(len(ordered))]
        width = 2.2 if name.startswith("tailmerge") else 1.2
        axes.step(ordered, shares, where="post", label=name, linewidth=width)
    axes.set_xscale("log")
    axes.set_xlabel("append to visible, ms")
    axes.set_ylabel("share of the lines")
    axes.legend(fontsize=8)


def _sustained(figures: Figures) -> None:
    found = figures["sustained_cpu"]
    _, (left, right) = pyplot.subplots(1, 2, sharey=True, figsize=(7.5, 0.32 * len(found) + 0.8))
    _bars(left, {name: max(cores, 0.001) for name, cores in found.items()}, "cores")
    late = {name: seconds * 1000 for name, seconds in figures["sustained_p99"].items()}
    _bars(right, late, "p99 of the delay, ms")
    left.invert_yaxis()  # shared: both inverted it


def _idle(figures: Figures) -> None:
    _, (left, right) = pyplot.subplots(1, 2, figsize=(7.5, 3.2))
    names = dict.fromkeys(name for found in figures["idle"].values() for name in found)
    for name in names:
        points = [
            (int(inputs), *found[name])
            for inputs, found in figures["idle"].items()
            if name in found
        ]
        style = {"marker": "o", "linewidth": 2.2 if name.startswith("tailmerge") else 1.2}
        counts = [point[0] for point in points]
        left.plot(counts, [max(p[1] * 100, 0.01) for p in points], label=name, **style)
        right.plot(counts, [point[2] for point in points], label=name, **style)
    for axes, label in ((left, "% of a core at rest"), (right, "memory, MiB")):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("inputs")
        axes.set_ylabel(label)
    right.legend(fontsize=7)


def _scaling(figures: Figures) -> None:
    _, (left, right) = pyplot.subplots(1, 2, figsize=(7.5, 3.2))
    pairs = ((left, "by_size", "MiB in 4 files"), (right, "by_files", "files"))
    for axes, what, label in pairs:
        found = figures[what]
        at = [int(key) for key in found]
        axes.plot(at, [pair[0] for pair in found.values()], "o-", color=OTHERS, label="cat")
        ours = [pair[1] for pair in found.values()]
        axes.plot(at, ours, "o-", color=OURS, label="tailmerge --once", linewidth=2.2)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("s")
    left.legend(fontsize=8)
