"""The machine around the box: systemd's notifications, clocks, free space, files that hold secrets."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import time
from pathlib import Path

from appliance.errors import SettingsError, SlipwayError
from systemd import daemon

KEY_BYTES = 32
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


def notify(state: str) -> None:
    """Tell systemd (sd_notify); nothing happens where it did not start us."""
    daemon.notify(state)


def watchdog_interval_s() -> float | None:
    """Half of what the unit's WatchdogSec asks for, or None."""
    microseconds = os.environ.get("WATCHDOG_USEC")
    return int(microseconds) / 2e6 if microseconds else None


class BootMarker:
    """A file that is gone after each start of the machine: in the unit's RuntimeDirectory, without systemd in another.

    One that cannot be left is not missed: at worst something is done twice.
    """

    def __init__(self, name: str, otherwise: Path) -> None:
        self._path = Path(os.environ.get("RUNTIME_DIRECTORY") or otherwise) / name

    def is_there(self) -> bool:
        return self._path.exists()

    def leave(self) -> None:
        with contextlib.suppress(OSError):
            self._path.touch()


def forbid_core_dumps() -> None:
    """Keys and images are in memory: none of it may land on a disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def give_back_memory() -> None:
    """Have what was freed go back to the system: glibc would keep megabytes for each thread that ever held an object.

    The memory of images is pooled (`spool_buffer`), so nothing that must be fast is allocated anew each time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another libc has its own ways
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, 256 << 10)


def free_bytes(path: Path) -> int:
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


def filled(path: Path) -> float:
    """Part of the disk that is in use, 0 to 1, as df has it: what only root may use does not count."""
    stat = os.statvfs(path)
    used = stat.f_blocks - stat.f_bfree
    return used / max(1, used + stat.f_bavail)


def load_spool_key(folder: Path, key_file: str) -> bytes:
    """The key that seals everything at rest: from the settings' file, systemd's credential, or made at first start."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if key_file:
        return _read_key(Path(key_file))
    if credentials and (Path(credentials) / "spool.key").exists():
        return _read_key(Path(credentials) / "spool.key")
    path = folder / "spool.key"
    if not path.exists():
        if (folder / "journal.db").exists():  # a new key would open nothing of what is here
            raise SettingsError(
                f"the spool key {path} is gone, and what is under {folder} was sealed with it",
                hint="Bring the key back, or name it in [spool] key_file; without it, start with an empty folder.",
            )
        write_secret(path, os.urandom(KEY_BYTES))
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"the spool key {path} cannot be read: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise SettingsError(f"the spool key {path} is not {KEY_BYTES} bytes long")
    return key


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all; it takes its folder's owner when root writes it."""
    temporary = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.chown(temporary, owner.st_uid, owner.st_gid)
        temporary.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise SlipwayError(
            f"{path} cannot be written: {error.strerror}", hint="Use sudo, or check the disk."
        ) from error
