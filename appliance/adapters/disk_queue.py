"""Writes that the disk does by itself while Python goes on: Linux's native asynchronous I/O (io_submit(2)).

A thread for each write would cost more in waking up than an SSD needs for it. Not what is written, nor when it is safe;
that is `spool`. The kernel works at a write without the caller for files opened with O_DIRECT whose blocks are there;
other writes it does at once, within the call.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable

SLOTS = 256  # requests under way; one more waits for one of them
_NUMBERS = {  # io_setup, io_destroy, io_submit, io_getevents (asm/unistd.h)
    "x86_64": (206, 207, 209, 208),
    "aarch64": (0, 1, 2, 4),
}
_WRITE, _DATA_SYNC, _SYNC = 1, 3, 2  # IOCB_CMD_PWRITE, _FDSYNC, _FSYNC (linux/aio_abi.h)
_REPORT_TO_EVENT_FD = 1  # IOCB_FLAG_RESFD
_REQUEST = struct.Struct("<QIIHhIQQqQII")  # struct iocb
_EVENT = struct.Struct("<QQqq")  # struct io_event
_TIMEOUT = struct.Struct("qq")  # struct timespec

Done = Callable[[int], None]  # takes the bytes written or 0, or a negative errno


class DiskQueue:
    """Requests under way and what they came to. Of one thread; raises OSError where the kernel takes none at all."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.argtypes, self._call.restype = [ctypes.c_long] * 6, ctypes.c_long
        try:
            self._setup, self._destroy, self._submit, self._getevents = _NUMBERS[platform.machine()]
        except KeyError as error:
            raise OSError(errno.ENOSYS, f"no asynchronous I/O is known for {platform.machine()}") from error
        context = ctypes.c_ulong(0)
        self._check(self._call(self._setup, SLOTS, ctypes.addressof(context), 0, 0, 0))
        self._context = context.value
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)  # readable when a request has ended
        self._requests = ctypes.create_string_buffer(_REQUEST.size * SLOTS)
        first = ctypes.addressof(self._requests)
        self._pointers = (ctypes.c_uint64 * SLOTS)(*(first + slot * _REQUEST.size for slot in range(SLOTS)))
        self._first_pointer = ctypes.addressof(self._pointers)
        self._events = ctypes.create_string_buffer(_EVENT.size * SLOTS)
        self._first_event = ctypes.addressof(self._events)
        self._timeout = ctypes.create_string_buffer(_TIMEOUT.size)
        self._at_timeout = ctypes.addressof(self._timeout)
        self._waiting: list[Done | None] = [None] * SLOTS
        self._free = list(range(SLOTS))

    @property
    def under_way(self) -> int:
        return SLOTS - len(self._free)

    def write(self, fd: int, address: int, length: int, offset: int, done: Done) -> None:
        """Write `length` bytes of memory at `address`, which must stay until `done`. OSError when it is not taken."""
        self._enter(_WRITE, fd, address, length, offset, done)

    def sync(self, fd: int, done: Done, *, folder: bool = False) -> None:
        """fdatasync, or fsync of a folder: of what had been written when this was called."""
        self._enter(_SYNC if folder else _DATA_SYNC, fd, 0, 0, 0, done)

    def sync_now(self, fd: int) -> None:
        """fdatasync, and wait for it: quicker than `sync`, for which the kernel wakes a thread of its own. OSError."""
        os.fdatasync(fd)

    def reap(self, at_least: int = 0, within_s: float = 0.0) -> int:
        """Call `done` of all that has ended, and wait for so many if need be; how many it were."""
        _TIMEOUT.pack_into(self._timeout, 0, int(within_s), int(within_s % 1 * 1e9))
        count = self._call(
            self._getevents, self._context, min(at_least, self.under_way), SLOTS, self._first_event, self._at_timeout
        )
        if count < 0:
            if ctypes.get_errno() == errno.EINTR:
                return 0
            self._check(count)
        ended = []
        for slot, _, result, _ in _EVENT.iter_unpack(memoryview(self._events)[: count * _EVENT.size]):
            ended.append((self._waiting[slot], result))
            self._waiting[slot] = None
            self._free.append(slot)
        for done, result in ended:
            assert done is not None  # noqa: S101 - the kernel answers each request once
            done(result)
        return len(ended)

    def close(self) -> None:
        """Wait for all that is under way, and drop it."""
        self._call(self._destroy, self._context, 0, 0, 0, 0)
        os.close(self.event_fd)

    def _enter(self, command: int, fd: int, address: int, length: int, offset: int, done: Done) -> None:
        while not self._free:
            self.reap(1, 60)
        slot = self._free.pop()
        _REQUEST.pack_into(
            self._requests,
            slot * _REQUEST.size,
            *(slot, 0, 0, command, 0, fd, address, length, offset, 0, _REPORT_TO_EVENT_FD, self.event_fd),
        )
        if self._call(self._submit, self._context, 1, self._first_pointer + slot * 8, 0, 0) != 1:
            self._free.append(slot)
            self._check(-1)
        self._waiting[slot] = done

    def _check(self, result: int) -> None:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
