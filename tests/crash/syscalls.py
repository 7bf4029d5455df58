"""Stands between a process and the kernel: each watched system call, of whichever thread, waits here for a verdict.

With seccomp's user notification, and not with `strace -e inject`: strace counts in each thread by itself, so "the
n-th call" hits whichever thread comes to n first and most calls of the quieter threads are never hit. Here all threads
have one count, and who decides sees the file that a call is about. Linux only; no privilege is needed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Whatever changes a disk, a name or another's mind, and how bytes get there today or might tomorrow.
# An io_submit goes by what it submits, IOCB_CMD_ of linux/aio_abi.h.
AIO = {1: "aio_write", 2: "aio_fsync", 3: "aio_fdsync"}
WRITES = (
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "aio_write",
    "copy_file_range",
    "fallocate",
    "ftruncate",
)
SYNCS = ("fsync", "fdatasync", "sync_file_range", "msync", "syncfs", "aio_fsync", "aio_fdsync")
MAKES = ("open", "openat", "openat2", "creat", "rename", "renameat", "renameat2", "link", "linkat", "mkdir", "mkdirat")
UNMAKES = ("unlink", "unlinkat")
OTHERS = ("sendto", "sendmsg", "sendmmsg", "sendfile", "ioctl")
OTHERS += ("io_submit", "io_getevents", "io_pgetevents", "io_uring_enter")
ROOM = tuple(name for name in WRITES + MAKES if name != "ftruncate")  # may find none; making smaller never does
WATCHED = WRITES + SYNCS + MAKES + UNMAKES + OTHERS

GO_ON = 0
KILL = -1
LATER = -2
Verdict = Callable[
    ["Call"], int
]  # GO_ON, KILL, the errno to fail with, or LATER: io_submit succeeds, and what it does fails

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP = {"x86_64": 317}.get(os.uname().machine, 277)
_PIDFD_GETFD = 438
_SECCOMP_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF, on seccomp's data: the number of the call stands first
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101  # ioctl requests of linux/seccomp.h
_CONTINUE = 1
_NOTIFICATION = struct.Struct("QIIiIQ6Q")  # id, thread, flags, number, architecture, instruction, arguments
_PATH_AT = dict.fromkeys(("open", "creat", "mkdir", "unlink"), 0)  # which argument; of two names the new one
_PATH_AT |= dict.fromkeys(("rename", "link", "openat", "openat2", "unlinkat", "mkdirat"), 1)
_PATH_AT |= dict.fromkeys(("renameat", "renameat2", "linkat"), 3)
_IOCB_COMMAND_AT, _IOCB_FD_AT, _IOCB_MEMORY_AT = 16, 20, 24
_NOWHERE = 4096  # an address that no process has memory at


@cache
def numbers() -> dict[str, int]:
    """Of this machine's system calls by name, as the C library's header has them."""
    source = "#include <sys/syscall.h>\n"
    found = subprocess.run(["gcc", "-E", "-dM", "-"], input=source, capture_output=True, text=True, check=True).stdout
    table = dict(re.findall(r"^#define __NR_(\w+) (\d+)$", found, re.MULTILINE))
    return {name: int(table[name]) for name in WATCHED if name in table}


def watch_this_process(descriptor: int) -> None:
    """From now on every watched call of this process waits for whoever fetches this descriptor (`fetch`)."""
    wanted = sorted(numbers().values())
    steps = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    steps += [struct.pack("HBBI", _JUMP_IF_EQUAL, len(wanted) - at, 0, one) for at, one in enumerate(wanted)]
    steps += [struct.pack("HBBI", _RETURN, 0, 0, what) for what in (_ALLOW, _NOTIFY)]
    code = ctypes.create_string_buffer(b"".join(steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener = _libc.syscall(_SECCOMP, _SECCOMP_SET_MODE_FILTER, _NEW_LISTENER, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp does not notify here")
    os.dup2(listener, descriptor)


def fetch(pidfd: int, descriptor: int) -> int:
    """A copy of another process's descriptor: it cannot send it, as sending is watched already."""
    for _ in range(2000):
        fetched = _libc.syscall(_PIDFD_GETFD, pidfd, descriptor, 0)
        if fetched >= 0:
            return int(fetched)
        time.sleep(0.001)  # it is not there yet
    raise OSError(ctypes.get_errno(), "the process's descriptor cannot be had")


@dataclass(frozen=True)
class Call:
    """One system call that waits."""

    name: str
    thread: int
    arguments: tuple[int, ...]

    @property
    def only_opens(self) -> bool:
        """Makes nothing."""
        return self.name == "openat" and not self.arguments[2] & os.O_CREAT

    @property
    def path(self) -> str:
        """What file it is about; "" when it is about none."""
        try:
            return self._path()
        except OSError:
            return ""

    def _path(self) -> str:
        if self.name in _PATH_AT:
            return os.fsdecode(self._memory(self.arguments[_PATH_AT[self.name]], 4096).split(b"\0", 1)[0])
        if self.name in AIO.values():
            return self._target(int.from_bytes(self._memory(self._request + _IOCB_FD_AT, 4), "little"))
        return "" if self.name.startswith("io_") else self._target(self.arguments[0])

    @property
    def _request(self) -> int:
        """Where the first struct iocb is that an io_submit is given."""
        return int.from_bytes(self._memory(self.arguments[2], 8), "little")

    @classmethod
    def of(cls, name: str, thread: int, arguments: tuple[int, ...]) -> Call:
        call = cls(name, thread, arguments)
        if name != "io_submit":
            return call
        command = int.from_bytes(call._memory(call._request + _IOCB_COMMAND_AT, 2), "little")
        return cls(AIO.get(command, name), thread, arguments)

    def spoil(self) -> None:
        """What is submitted becomes a write of memory that is not there: taken, and then it fails."""
        with Path(f"/proc/{self.thread}/mem").open("r+b", buffering=0) as memory:
            memory.seek(self._request + _IOCB_COMMAND_AT)
            memory.write(struct.pack("H", 1))
            memory.seek(self._request + _IOCB_MEMORY_AT)
            memory.write(struct.pack("QQ", _NOWHERE, 4096))

    def _target(self, descriptor: int) -> str:
        return str(Path(f"/proc/{self.thread}/fd/{descriptor & 0xFFFFFFFF}").readlink())

    def _memory(self, address: int, size: int) -> bytes:
        memory = os.open(f"/proc/{self.thread}/mem", os.O_RDONLY)
        try:
            whole = os.pread(memory, min(size, 4096 - address % 4096), address)  # the next page may not be there
            return (
                whole if len(whole) == size or b"\0" in whole else whole + os.pread(memory, 4096, address + len(whole))
            )
        finally:
            os.close(memory)


class Gate:
    """Receives what waits at `listener` and lets each call through, or not, as `verdict` says."""

    def __init__(self, pid: int, listener: int, verdict: Verdict) -> None:
        self.listener = listener
        self._pid = pid
        self._verdict = verdict
        self._names = {number: name for name, number in numbers().items()}

    def attend(self) -> bool:
        """One call that waits. False when the process is gone."""
        received = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, received)
        except OSError as error:
            return error.errno == errno.EINTR
        number, thread, _, nr, _, _, *arguments = _NOTIFICATION.unpack(received)
        call = Call.of(self._names[nr], thread, tuple(arguments))
        answer = self._verdict(call)
        if answer == KILL:
            os.kill(self._pid, signal.SIGKILL)
            return False
        if answer == LATER:
            call.spoil()
            answer = GO_ON
        reply = struct.pack("QqiI", number, 0, -answer, 0 if answer else _CONTINUE)
        with contextlib.suppress(FileNotFoundError):  # it did not live to see the answer, or a signal came between
            fcntl.ioctl(self.listener, _ANSWER, bytearray(reply))
        return True


def disk_calls(names: Iterable[str], folder: Path) -> Callable[[Call], bool]:
    """Whether a call is one of `names`, about a file under `folder`, and more than opening what is there."""
    wanted, under = frozenset(names), f"{folder}/"
    return lambda call: call.name in wanted and not call.only_opens and (call.path + "/").startswith(under)
