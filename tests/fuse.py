"""A file system that hangs when it is told to: a folder, seen through FUSE.

Run as a program: `python fuse.py FOLDER POINT` mounts and prints a line; from then on each line
of standard input is a command, `hang` or `go`, and answered with a line. Its end, or a closed
standard input, ends the mount, and whoever waits in it. Speaks the kernel's protocol itself (see
linux/fuse.h), of which it knows what reading needs; it wants root and mount(8).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HEADER = struct.Struct("<IIQQIIII")
ATTRIBUTES = struct.Struct("<6Q10I")
MOST = 1 << 20

LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE = 1, 2, 3, 14, 15, 18
INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT, BATCH_FORGET = 26, 27, 28, 29, 36, 42
DIRECT = 1
"""Nothing of the file is cached: each read and each question is asked."""


class Server:
    """Answers the kernel, one request after the other."""

    def __init__(self, folder: str, fd: int) -> None:
        self._fd = fd
        self._paths = {1: folder}

    def answer(self) -> None:
        data = os.read(self._fd, MOST)
        _, code, unique, node, *_ = HEADER.unpack_from(data)
        if code in (FORGET, INTERRUPT, BATCH_FORGET):
            return
        error, reply = 0, b""
        try:
            reply = self._handle(code, node, data[HEADER.size :])
        except OSError as failed:
            error = -(failed.errno or errno.EIO)
        os.write(self._fd, struct.pack("<IiQ", 16 + len(reply), error, unique) + reply)

    def _handle(self, code: int, node: int, body: bytes) -> bytes:
        if code == INIT:
            return struct.pack("<4I2H2I2H8I", 7, 26, 0, 0, 8, 8, MOST // 2, 1, *(0,) * 10)
        if code == LOOKUP:
            path = os.path.join(self._paths[node], os.fsdecode(body.rstrip(b"\0")))
            status = os.stat(path)
            self._paths[status.st_ino] = path
            return struct.pack("<4Q2I", status.st_ino, 0, 0, 0, 0, 0) + attributes(status)
        if code == GETATTR:
            flags, _, handle = struct.unpack_from("<IIQ", body)
            status = os.fstat(handle) if flags & 1 else os.stat(self._paths[node])
            return struct.pack("<QII", 0, 0, 0) + attributes(status)
        if code == OPEN:
            return struct.pack("<QII", os.open(self._paths[node], os.O_RDONLY), DIRECT, 0)
        if code == READ:
            handle, offset, size = struct.unpack_from("<QQI", body)
            return os.pread(handle, size, offset)
        if code == RELEASE:
            os.close(struct.unpack_from("<Q", body)[0])
            return b""
        if code == OPENDIR:
            return struct.pack("<QII", 0, 0, 0)
        if code == READDIR:
            _, offset, _ = struct.unpack_from("<QQI", body)
            return b"".join(self._entries(self._paths[node], offset))
        if code == RELEASEDIR:
            return b""
        raise OSError(errno.ENOSYS, "not known")  # a flush, too: nobody can be killed in one

    @staticmethod
    def _entries(folder: str, offset: int) -> Iterator[bytes]:
        for number, entry in enumerate(sorted(os.listdir(folder))[offset:], offset + 1):
            name = os.fsencode(entry)
            inode = os.stat(os.path.join(folder, entry)).st_ino
            head = struct.pack("<QQII", inode, number, len(name), 0)
            yield head + name + bytes(-len(name) % 8)


def attributes(status: os.stat_result) -> bytes:
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    return ATTRIBUTES.pack(
        *(status.st_ino, status.st_size, status.st_blocks),
        *(time // 10**9 for time in times),
        *(time % 10**9 for time in times),
        *(status.st_mode, status.st_nlink, status.st_uid, status.st_gid, 0, 4096, 0),
    )


def serve(folder: str, point: str) -> None:
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other"
    subprocess.run(
        ["mount", "-i", "-t", "fuse", "-o", options, "x", point], pass_fds=[fd], check=True
    )
    server, hangs = Server(folder, fd), False
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    try:
        while True:
            ready, _, _ = select.select([0] if hangs else [0, fd], [], [])
            if 0 in ready:
                command = os.read(0, 100)
                if not command:
                    return
                hangs = command == b"hang\n"
                os.write(1, command)
            elif fd in ready:
                server.answer()
    finally:
        subprocess.run(["umount", "-l", point], check=True)


class Mounted:
    """What a test holds of it."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self._program = program

    def hang(self) -> None:
        """From now on nothing is answered."""
        self._tell("hang")

    def go(self) -> None:
        """All is answered again."""
        self._tell("go")

    def _tell(self, command: str) -> None:
        assert self._program.stdin
        assert self._program.stdout
        self._program.stdin.write(command + "\n")
        self._program.stdin.flush()
        assert self._program.stdout.readline() == command + "\n"


def can_mount() -> bool:
    return os.geteuid() == 0 and os.access("/dev/fuse", os.R_OK | os.W_OK)


@contextlib.contextmanager
def mounted(folder: Path, point: Path) -> Iterator[Mounted | None]:
    """Mount it; None where the system does not let us."""
    program = subprocess.Popen(
        [sys.executable, __file__, folder, point],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdin
    assert program.stdout
    try:
        yield Mounted(program) if program.stdout.readline() else None
    finally:
        program.stdin.close()
        try:
            program.wait(10)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
        program.stdout.close()


if __name__ == "__main__":
    serve(*sys.argv[1:])
