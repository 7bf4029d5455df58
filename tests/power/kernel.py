"""What the guest asks of its kernel: modules, mounts, devices of the device mapper. Not what they are used for.

By system calls of its own: in User-Mode Linux starting a program takes longer than a whole power cut.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

SECTOR_BYTES = 512
_LIBC = ctypes.CDLL(None, use_errno=True)
_FINIT_MODULE = 313  # x86_64, which is what Debian's user-mode-linux is made for


def load_module(name: str) -> None:
    """Such as drivers/md/dm-flakey; not with what it needs. OSError when this kernel has none."""
    path = f"/usr/lib/uml/modules/{os.uname().release}/kernel/{name}.ko"
    fd = os.open(path, os.O_RDONLY)
    try:
        _check(_LIBC.syscall(_FINIT_MODULE, fd, b"", 0), path)
    finally:
        os.close(fd)


def mount(source: str, target: Path, kind: str, options: str = "") -> None:
    target.mkdir(exist_ok=True)
    _check(_LIBC.mount(source.encode(), bytes(target), kind.encode(), 0, options.encode()), str(target))


def unmount(target: Path) -> None:
    _check(_LIBC.umount2(bytes(target), 0), str(target))


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


# linux/dm-ioctl.h
_HEADER = struct.Struct("=6Ii3IQ128s129s7s")
_TARGET = struct.Struct("=QQiI16s")
_VERSION = (4, 0, 0)
_CREATE, _REMOVE, _RESUME, _LOAD, _MESSAGE = 3, 4, 6, 9, 14
_SKIP_FREEZE, _DROP_QUEUED = 1 << 10, 1 << 11  # DM_SKIP_LOCKFS_FLAG, DM_NOFLUSH_FLAG
_ROOM = 4096


@dataclass(frozen=True)
class MappedDevice:
    """A device of the device mapper, of one target."""

    name: str
    sectors: int
    path: str

    @classmethod
    def create(cls, name: str, sectors: int, table: str) -> MappedDevice:
        """`table` as dmsetup takes it, without start and length."""
        number = _ask(_CREATE, name)
        device = cls(name, sectors, f"/dev/dm-{os.minor(number)}")
        device.load(table)
        device.swap()
        return device

    def load(self, table: str) -> None:
        """Have another table ready for `swap`."""
        kind, _, arguments = table.partition(" ")
        text = arguments.encode() + b"\0"
        _ask(_LOAD, self.name, _TARGET.pack(0, self.sectors, 0, 0, kind.encode()) + text, targets=1)

    def swap(self) -> None:
        """From here on the table that was loaded last is in force; nothing is written out before."""
        _ask(_RESUME, self.name, flags=_SKIP_FREEZE | _DROP_QUEUED)

    def tell(self, message: str) -> None:
        _ask(_MESSAGE, self.name, struct.pack("=Q", 0) + message.encode() + b"\0")

    def remove(self) -> None:
        _ask(_REMOVE, self.name)


def _ask(request: int, name: str, payload: bytes = b"", *, flags: int = 0, targets: int = 0) -> int:
    """The device's number."""
    size = _HEADER.size + _ROOM
    header = _HEADER.pack(*_VERSION, size, _HEADER.size, targets, 0, flags, 0, 0, 0, name.encode(), b"", b"")
    buffer = bytearray(header + payload.ljust(_ROOM, b"\0"))
    with open("/dev/mapper/control", "rb") as control:  # noqa: PTH123 - a device
        fcntl.ioctl(control, 3 << 30 | _HEADER.size << 16 | 0xFD << 8 | request, buffer)
    return int(_HEADER.unpack_from(buffer)[10])


def sectors_of(device: str) -> int:
    return int(Path(f"/sys/block/{Path(device).name}/size").read_text())
