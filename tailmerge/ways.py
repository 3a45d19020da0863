"""Which way out a run takes: the plain one, unless more was asked for.

What the others need is imported here and only then: a plain run starts without it.
"""

from __future__ import annotations

from tailmerge.plain import Plain
from tailmerge.report import Report
from tailmerge.route import MakeRoute, Route, Turn
from tailmerge.settings import Settings
from tailmerge.system import System


def choose_route(settings: Settings, report: Report, system: System) -> MakeRoute:
    """What makes the way out that was asked for, on the thread that owns the files.

    To import what it needs may take 0.1 s, so it is not called on an event loop.
    """
    if not settings.works_on_lines:
        return Plain
    from tailmerge.label import Label
    from tailmerge.ordered import Ordered
    from tailmerge.records import Records
    from tailmerge.shape import Shape
    from tailmerge.shaped import Shaped
    from tailmerge.timekeeper import Timekeeper
    from tailmerge.timestamps import Clock, check_time_format

    if settings.time_format is not None:
        check_time_format(settings.time_format)

    def make_clock(modified: float | None) -> Clock:
        return Clock(time_format=settings.time_format, utc=settings.utc, modified=modified)

    records = Records(settings.record_start) if settings.record_start else None
    shape = Shape(
        label=Label(settings.label, system.host()) if settings.label else None,
        match=settings.match,
        exclude=settings.exclude,
        as_json=settings.as_json,
        records=records,
        utc=settings.utc,
    )

    def make(in_turn: Turn) -> Route:
        window = None if settings.once else settings.window
        if settings.sort:
            keeper = Timekeeper(make_clock, raw=not (settings.shapes or records))
            return Ordered(
                in_turn, keeper, window, report, shape if settings.shapes else None, records
            )
        clocks = make_clock if settings.as_json else None
        return Shaped(in_turn, shape, clocks, window)

    return make
