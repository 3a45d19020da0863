"""What one run was asked for: the options of `run_fully_async`, checked by whoever typed them."""

from __future__ import annotations

from typing import NamedTuple


class Settings(NamedTuple):
    """The options of one run; the defaults are the command's."""

    interval: float = 0.1
    """The poll interval, seconds."""
    output_path: str = "-"
    """What is appended to; "-" is standard output."""
    once: bool = False
    """Merge what is there now, then end."""
    lines: int | None = None
    """Begin with so many last lines; None: with all."""
    pid: int | None = None
    """End when this process is gone."""
    until_idle: float | None = None
    """End when nothing new came for so long, seconds."""
    rotate_wait: float = 5.0
    """How long a rotated file must be quiet before it is no longer held open, seconds."""
    overwrite: bool = False
    """Empty the output first."""
    state_path: str | None = None
    """Where positions are kept; None: nowhere."""
    fsync: bool = False
    """What is written survives a power cut, a second later at most."""
    sort: bool = False
    """Order lines by the timestamps in them."""
    window: float = 1.0
    """How long a line may wait for earlier ones while following, seconds."""
    time_format: str | None = None
    """The timestamps' strptime format; None: recognised."""
    utc: bool = False
    """Timestamps without a zone are UTC."""
    record_start: str | None = None
    """A line that does not match continues the record above it."""
    label: str | None = None
    """What stands before each line: a template."""
    match: tuple[str, ...] = ()
    """Only what one of these is found in is kept."""
    exclude: tuple[str, ...] = ()
    """What one of these is found in is dropped."""
    as_json: bool = False
    """Each line is a JSON object."""

    @property
    def shapes(self) -> bool:
        """Whether lines are dropped, or go out otherwise than they came."""
        return bool(self.label or self.match or self.exclude or self.as_json)

    @property
    def works_on_lines(self) -> bool:
        """Whether more is done with lines than to copy them."""
        return bool(self.sort or self.record_start or self.shapes)
