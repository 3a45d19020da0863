"""A log that is written, rotated and compressed as logrotate does it, and a model of it.

The model knows every byte of every generation; what tailmerge merged of the log must be all
of them, the oldest generation first.
"""

from __future__ import annotations

import bz2
import datetime
import gzip
import importlib.util
import itertools
import lzma
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
if importlib.util.find_spec("pyzstd"):
    COMPRESS[".zst"] = importlib.import_module("pyzstd").compress


class RotatedLog:
    """One log, `folder/name`, whose rotated forms go to `olddir`."""

    def __init__(
        self,
        folder: Path,
        name: str,
        olddir: Path | None = None,
        *,
        header: bytes = b"",
        dated: bool = False,
    ) -> None:
        """`header` is what every generation begins with; `dated`: logrotate's dateext."""
        self.path = folder / name
        self.olddir = olddir or folder
        self.contents: list[bytes] = []
        """Of the rotated generations, the oldest first."""
        self.live = b""
        self._header = header
        self._dated = dated
        self._rotated: list[Path] = []
        self._numbers = itertools.count()
        for place in (folder, self.olddir):
            place.mkdir(parents=True, exist_ok=True)
        self.path.touch()

    @property
    def written(self) -> bytes:
        """All that was ever in it."""
        return b"".join(self.contents) + self.live

    def append(self, count: int) -> None:
        """Write so many lines, the header first where the file is empty."""
        start = b"" if self.live else self._header
        name = os.fsencode(self.path.name)
        lines = (b"%s %d\n" % (name, next(self._numbers)) for _ in range(count))
        data = start + b"".join(lines)
        with self.path.open("ab") as file:
            file.write(data)
        self.live += data

    def rotate(self, *, copy: bool) -> None:
        """`create`, or `copytruncate`."""
        target = self._make_room()
        if copy:
            shutil.copyfile(self.path, target)
            os.truncate(self.path, 0)
        else:
            self.path.rename(target)
            self.path.touch()
        self._rotated.append(target)
        self.contents.append(self.live)
        self.live = b""

    def _make_room(self) -> Path:
        if self._dated:
            day = datetime.date(2026, 1, 1) + datetime.timedelta(len(self._rotated))
            return self.olddir / f"{self.path.name}-{day:%Y%m%d}"
        moved = []
        for index, path in enumerate(self._rotated):  # the oldest has the largest number
            suffix = path.suffix if path.suffix in COMPRESS else ""
            number = len(self._rotated) - index + 1
            moved.append(path.rename(self.olddir / f"{self.path.name}.{number}{suffix}"))
        self._rotated = moved
        return self.olddir / f"{self.path.name}.1"

    def compress(self, choose: random.Random) -> None:
        """One generation that is not compressed yet, the oldest or the newest of them."""
        plain = [i for i, path in enumerate(self._rotated) if path.suffix not in COMPRESS]
        if not plain:
            return
        index = choose.choice((plain[0], plain[-1]))
        path, suffix = self._rotated[index], choose.choice(list(COMPRESS))
        packed = path.with_name(path.name + suffix)
        packed.write_bytes(COMPRESS[suffix](path.read_bytes()))
        shutil.copystat(path, packed)
        path.unlink()
        self._rotated[index] = packed

    def step(self, choose: random.Random) -> None:
        """Anything that may happen to a log."""
        match choose.choice(("append", "append", "rename", "copy", "compress")):
            case "append":
                self.append(choose.randint(1, 30))
            case "rename":
                self.rotate(copy=False)
            case "copy":
                self.rotate(copy=True)
            case "compress":
                self.compress(choose)
